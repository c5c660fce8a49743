"""Berths: which ships lie where in a harbour, in a database."""

import os

import psycopg2
from flask import Flask, jsonify, request


def connect():
    return psycopg2.connect(os.environ["DATABASE_URL"])


def create_app():
    app = Flask(__name__)

    @app.get("/healthz")
    def healthz():
        with connect() as db, db.cursor() as cur:
            cur.execute("SELECT count(*) FROM berth")
            return jsonify(berths=cur.fetchone()[0])

    @app.post("/berths")
    def add():
        berth = request.get_json()
        try:
            with connect() as db, db.cursor() as cur:
                cur.execute("INSERT INTO berth (name, length) VALUES (%s, %s)", (berth["name"], berth["length"]))
        except psycopg2.errors.CheckViolation as err:
            return jsonify(error=err.diag.constraint_name), 409
        return jsonify(name=berth["name"]), 201

    return app
