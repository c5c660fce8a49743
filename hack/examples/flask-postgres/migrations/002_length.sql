ALTER TABLE berth ADD CONSTRAINT berth_is_not_endless CHECK (length BETWEEN 1 AND 500);
