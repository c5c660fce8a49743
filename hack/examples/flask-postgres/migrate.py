"""Applies the migrations that the database does not have yet, in order."""

import pathlib

from app import connect

with connect() as db, db.cursor() as cur:
    cur.execute("CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY)")
    for file in sorted(pathlib.Path("migrations").glob("*.sql")):
        cur.execute("INSERT INTO migration VALUES (%s) ON CONFLICT DO NOTHING", (file.name,))
        if cur.rowcount:
            print("applying", file.name, flush=True)
            cur.execute(file.read_text())
