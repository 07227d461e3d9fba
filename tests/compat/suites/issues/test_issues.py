import pytest
import requests
from conftest import BASE


@pytest.mark.vcr
def test_list(tracker):
    assert [issue["title"] for issue in tracker.issues()] == ["First", "Second"]


@pytest.mark.vcr
def test_owner_is_hidden(tracker):
    assert {issue["owner"] for issue in tracker.issues()} == {"hidden@example.com"}


@pytest.mark.vcr
@pytest.mark.parametrize("state", ["open", "closed", "all/any"])
def test_filter(tracker, state):
    assert tracker.issues(state=state, access_key="changes-every-day") != []


@pytest.mark.default_cassette("shared.yaml")
@pytest.mark.vcr
def test_create(tracker):
    assert tracker.create("Third")["number"] == 3


class TestCounting:
    @pytest.mark.vcr
    def test_calls(self, tracker, vcr):
        tracker.issues()
        tracker.close(1)
        assert vcr.play_count == 2
        assert vcr.all_played
        assert [request.method for request in vcr.requests] == ["GET", "PATCH"]

    @pytest.mark.vcr(match_on=["method", "path"])
    def test_query_does_not_count(self, tracker):
        assert tracker.issues(page="7")


@pytest.mark.vcr
@pytest.mark.block_network
def test_compressed(tracker):
    answer = tracker.session.get(f"{BASE}/compressed")
    assert answer.json() == {"compressed": True}
    assert "content-encoding" not in answer.headers


@pytest.mark.vcr
def test_not_found(tracker):
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Here"):
        tracker.session.get(f"{BASE}/missing").raise_for_status()


@pytest.mark.vcr
def test_that_asks_for_what_was_not_recorded(tracker):
    """Fails with every recorder."""
    tracker.issues()
    tracker.issues(page="2")


def test_without_network_at_all():
    assert "localhost" in BASE
