import json
import urllib.error
import urllib.request


def post(berth):
    body = json.dumps(berth).encode()
    request = urllib.request.Request("http://app:5000/berths", body, {"Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as err:
        return err.code


def test_a_berth_is_added():
    assert post({"name": "north-1", "length": 90}) == 201


def test_no_berth_is_endless():
    assert post({"name": "south-9", "length": 5000}) == 409
