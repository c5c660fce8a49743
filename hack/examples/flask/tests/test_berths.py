import pytest

from app import BERTHS, fits


def stay(ship="Aurora", arrives="2026-05-01", leaves="2026-05-04", **more):
    return {"ship": ship, "length": 80, "draught": 5, "arrives": arrives, "leaves": leaves, **more}


@pytest.mark.parametrize(
    "length, draught, want",
    [
        (90, 6.0, True),
        (90.1, 6.0, False),
        (90, 6.1, False),  # less than the keel clearance is left
    ],
)
def test_fits(length, draught, want):
    assert fits(BERTHS["north-1"], length, draught) is want


def test_health(client):
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_berths_are_filtered_by_size(client):
    assert client.get("/berths").get_json() == ["north-1", "north-2", "south-1"]
    assert client.get("/berths?length=120").get_json() == ["north-2", "south-1"]
    assert client.get("/berths?draught=14.2").get_json() == []


def test_a_berth_is_not_given_twice(client):
    assert client.post("/berths/north-1/stays", json=stay()).status_code == 201
    answer = client.post("/berths/north-1/stays", json=stay("Borea", "2026-05-03", "2026-05-06"))
    assert answer.status_code == 409
    assert answer.get_json() == {"error": "Aurora lies at north-1 then"}


def test_a_ship_may_come_the_day_another_leaves(client):
    assert client.post("/berths/north-1/stays", json=stay("Borea", "2026-05-04", "2026-05-06")).status_code == 201
    assert client.post("/berths/north-1/stays", json=stay()).status_code == 201
    ships = [s["ship"] for s in client.get("/berths/north-1/stays").get_json()]
    assert ships == ["Aurora", "Borea"]


def test_a_ship_that_does_not_fit_is_refused(client):
    assert client.post("/berths/north-1/stays", json=stay(length=200)).status_code == 409
    assert client.get("/berths/north-1/stays").get_json() == []


@pytest.mark.parametrize(
    "body",
    [None, [], {}, stay(arrives="soon"), stay(length="long"), stay(leaves="2026-05-01")],
)
def test_nonsense_is_refused(client, body):
    assert client.post("/berths/north-1/stays", json=body).status_code == 400


def test_an_unknown_berth(client):
    assert client.get("/berths/west-9/stays").status_code == 404
    assert client.post("/berths/west-9/stays", json=stay()).status_code == 404
