import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import requests


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.vcr
def test_forecast(base):
    assert get(f"{base}/forecast?city=Ghent&city=Lyon&units=")["cities"] == ["Ghent", "Lyon"]


@pytest.mark.vcr
class TestStations:
    def test_list(self, base):
        assert len(get(f"{base}/stations")) == 2

    def test_one(self, base, vcr_cassette):
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{base}/stations/1").json()["name"] == "Harbour"
        assert len(vcr_cassette) == 1
        assert vcr_cassette.play_count == 1


@pytest.mark.vcr
@pytest.mark.parametrize("city", ["Ghent", "Le Mans"])
def test_by_name(base, city):
    assert get(f"{base}/forecast?city={urllib.parse.quote(city)}")["cities"] == [city]


@pytest.mark.vcr
def test_log_in(base):
    form = {"user": "ada", "password": "a-password-nobody-knows", "otp": str(time.time())}
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(f"{base}/login", data=form).json() == {"welcome": "ada"}


@pytest.mark.vcr
def test_error(base):
    with pytest.raises(urllib.error.HTTPError, match="503: Try Later"):
        get(f"{base}/broken")


@pytest.mark.vcr
def test_that_asks_for_another_city(base):
    """Fails with every recorder."""
    get(f"{base}/forecast?city=Oslo")
    get(f"{base}/forecast?city=Rome")
