"""Berths: which ships lie where in a harbour, and when.

A berth takes one ship at a time. Everything is kept in memory: this is an
example of a service to build and test, not of a database.
"""

from datetime import date

from flask import Flask, jsonify, request

BERTHS = {
    "north-1": {"length": 90, "depth": 6.5},
    "north-2": {"length": 140, "depth": 8.0},
    "south-1": {"length": 300, "depth": 14.5},
}

KEEL_CLEARANCE = 0.5  # metres of water that must remain under a ship


class Refused(Exception):
    """A request that cannot be met; its text is for the one who asked."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def fits(berth, length, draught):
    """Whether a ship of this length and draught can lie at the berth."""
    return length <= berth["length"] and draught + KEEL_CLEARANCE <= berth["depth"]


def overlap(a, b):
    """Whether two stays share a night: one may leave the day the other comes."""
    return a["arrives"] < b["leaves"] and b["arrives"] < a["leaves"]


def parse_stay(body):
    """The stay that a request's JSON describes."""
    try:
        stay = {
            "ship": str(body["ship"]),
            "length": float(body["length"]),
            "draught": float(body["draught"]),
            "arrives": date.fromisoformat(body["arrives"]),
            "leaves": date.fromisoformat(body["leaves"]),
        }
    except (KeyError, TypeError, ValueError) as err:
        raise Refused(400, f"not a stay: {err!r}") from err
    if stay["arrives"] >= stay["leaves"]:
        raise Refused(400, "a ship must arrive before it leaves")
    return stay


def create_app():
    """The application, with every berth empty."""
    app = Flask(__name__)
    stays = {name: [] for name in BERTHS}

    @app.errorhandler(Refused)
    def refused(err):
        return jsonify(error=str(err)), err.status

    @app.get("/healthz")
    def healthz():
        return jsonify(status="ok")

    @app.get("/berths")
    def berths():
        length = request.args.get("length", default=0.0, type=float)
        draught = request.args.get("draught", default=0.0, type=float)
        return jsonify(sorted(n for n, b in BERTHS.items() if fits(b, length, draught)))

    @app.get("/berths/<name>/stays")
    def list_stays(name):
        if name not in BERTHS:
            raise Refused(404, f"no berth {name}")
        ordered = sorted(stays[name], key=lambda s: s["arrives"])
        return jsonify([{"ship": s["ship"], "arrives": s["arrives"].isoformat()} for s in ordered])

    @app.post("/berths/<name>/stays")
    def book(name):
        if name not in BERTHS:
            raise Refused(404, f"no berth {name}")
        stay = parse_stay(request.get_json(silent=True))
        if not fits(BERTHS[name], stay["length"], stay["draught"]):
            raise Refused(409, f"{stay['ship']} does not fit {name}")
        for other in stays[name]:
            if overlap(stay, other):
                raise Refused(409, f"{other['ship']} lies at {name} then")
        stays[name].append(stay)
        return jsonify(berth=name, ship=stay["ship"]), 201

    return app
