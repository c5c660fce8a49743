CREATE TABLE berth (name text PRIMARY KEY, length numeric NOT NULL);
