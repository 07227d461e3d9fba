"""A program that makes states, nonces and signatures anew with each run is answered, and gets its own back."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest

from cassette_http import UnmatchedRequest, use_cassette
from tests.cassette.messages import jwt
from tests.peer import Peer, keep_alive, response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def answer(request: bytes) -> bytes:
    """What a server of OAuth says: it gives the state back, and makes codes and tokens."""
    url = urlsplit(request.split(b" ")[1].decode())
    if url.path == "/authorize":
        pairs = dict(parse_qsl(url.query))
        back = {"code": secrets.token_urlsafe(20), "state": pairs["state"]}
        return response(b"", f"Location: {pairs['redirect_uri']}?{urlencode(back)}".encode(), status=b"302 Found")
    if url.path == "/token":
        return response(json.dumps({"access_token": secrets.token_urlsafe(32), "token_type": "Bearer"}).encode())
    return response(b"{}", b"Content-Type: application/json")


@pytest.fixture
def port(peer: Callable[..., Peer]) -> int:
    return peer(keep_alive(answer)).port


def ask(port: int, target: str, form: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    if form is None:
        connection.request("GET", target)
    else:
        connection.request("POST", target, urlencode(form), FORM)
    found = connection.getresponse()
    found.read()
    connection.close()
    return found


def digits() -> str:
    return str(time.time_ns())


def token() -> str:
    return jwt({"sub": "a", "jti": str(uuid.uuid4())})


STATES: dict[str, Callable[[], str]] = {
    "UUID": lambda: str(uuid.uuid4()),
    "hexadecimal digits": lambda: secrets.token_hex(16),
    "few characters": lambda: secrets.token_urlsafe(6),
    "digits": digits,
    "JSON": lambda: json.dumps({"next": "/home", "csrf": secrets.token_hex(4)}),
    "JSON in base64": lambda: base64.b64encode(json.dumps({"csrf": secrets.token_hex(16)}).encode()).decode(),
    "JWT": token,
}


@pytest.mark.parametrize("made", STATES.values(), ids=STATES)
def test_a_login_with_a_new_state_is_played(port: int, tmp_path: Path, made: Callable[[], str]) -> None:
    def login() -> None:
        state = made()
        asked = {"response_type": "code", "client_id": "app", "redirect_uri": f"http://127.0.0.1:{port}/back"}
        once = {"state": state, "nonce": made(), "code_challenge": secrets.token_urlsafe(32)}
        back = urlsplit(ask(port, f"/authorize?{urlencode(asked | once)}").headers["Location"])
        given = {name: values[0] for name, values in parse_qs(back.query).items()}
        assert given["state"] == state
        ask(port, f"{back.path}?{back.query}")
        form = {"grant_type": "authorization_code", "code": given["code"], "code_verifier": secrets.token_urlsafe(48)}
        assert ask(port, "/token", form).status == 200

    with use_cassette(tmp_path / "login.yaml", record_mode="once"):
        login()
    with use_cassette(tmp_path / "login.yaml", record_mode="none"):
        login()


def test_who_sends_a_new_secret_in_json_finds_it_in_the_answer(peer: Callable[..., Peer], tmp_path: Path) -> None:
    port = peer(keep_alive(lambda request: response(request.partition(b"\r\n\r\n")[2]))).port

    def register() -> None:
        hook = {"config": {"url": "https://a.test/hook", "secret": secrets.token_hex(20)}, "events": ["push"]}
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/hooks", json.dumps(hook), {"Content-Type": "application/json"})
        assert json.load(connection.getresponse()) == hook
        connection.close()

    for mode in ("once", "none", "none"):
        with use_cassette(tmp_path / "hooks.yaml", record_mode=mode):
            register()


def test_a_state_that_is_none_of_oauth_distinguishes_requests(port: int, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "issues.yaml", record_mode="once"):
        ask(port, "/issues?state=open&client_id=7")
    with pytest.raises(UnmatchedRequest, match="state"), use_cassette(tmp_path / "issues.yaml", record_mode="none"):
        ask(port, "/issues?state=closed&client_id=7")


SIGNED: dict[str, Callable[[], str]] = {
    "OAuth 1": lambda: f"oauth_nonce={digits()}&oauth_timestamp={digits()[:10]}&oauth_signature={quote(token()[:27])}",
    "time and signature": lambda: f"symbol=A&timestamp={digits()[:13]}&signature={secrets.token_hex(32)}",
    "nonce and sign": lambda: f"nonce={uuid.uuid4()}&sign={secrets.token_hex(16)}&id=7",
    "SAML": lambda: f"SAMLRequest={quote(base64.b64encode(token().encode()))}&RelayState={uuid.uuid4()}",
}


@pytest.mark.parametrize("made", SIGNED.values(), ids=SIGNED)
def test_a_request_signed_anew_is_played(port: int, tmp_path: Path, made: Callable[[], str]) -> None:
    for mode in ("once", "none"):
        with use_cassette(tmp_path / "signed.yaml", record_mode=mode):
            ask(port, f"/signed?{made()}")
            ask(port, "/signed", dict(parse_qsl(made())))


def test_a_time_without_a_signature_distinguishes_requests(port: int, tmp_path: Path) -> None:
    with use_cassette(tmp_path / "times.yaml", record_mode="once"):
        ask(port, "/prices?timestamp=1790000000")
    with pytest.raises(UnmatchedRequest, match="timestamp"), use_cassette(tmp_path / "times.yaml", record_mode="none"):
        ask(port, "/prices?timestamp=1790000001")
