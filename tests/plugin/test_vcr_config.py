"""What `vcr_config` says, as options of ours: filters, hooks and matchers of VCR.py do what they do there."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.errors import InvalidOption
from cassette_http.vcr.config import translate
from cassette_http.vcr.objects import VcrRequest

API = Origin("https", "api.test", 443)


def request(
    method: str = "GET",
    target: str = "/",
    fields: dict[str, str] | None = None,
    body: bytes = b"",
    origin: Origin = API,
) -> Request:
    lines = {"Host": origin.authority, **(fields or {})}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(
        [f"{method} {target} HTTP/1.1\r\n", *[f"{name}: {value}\r\n" for name, value in lines.items()], "\r\n"]
    )
    return Request(origin, head.encode("latin-1"), body)


def changed(config: dict[str, Any], sent: Request) -> Request | None:
    hook = translate(config).options.get("on_match", lambda same: same)
    result: Request | None = hook(sent)
    return result


@pytest.mark.parametrize(
    ("config", "sent", "expected"),
    [
        pytest.param({}, request(fields={"A": "b"}), request(fields={"A": "b"}), id="nothing"),
        pytest.param(
            {"filter_headers": ["a"]}, request(fields={"A": "b", "C": "d"}), request(fields={"C": "d"}), id="field"
        ),
        pytest.param({"filter_headers": []}, request(fields={"A": "b"}), request(fields={"A": "b"}), id="no field"),
        pytest.param(
            {"filter_headers": [("A", "X")]},
            request(fields={"A": "b"}),
            request(fields={"A": "X"}),
            id="field, replaced",
        ),
        pytest.param(
            {"filter_headers": [("A", lambda key, value, request: value.upper())]},
            request(fields={"A": "b"}),
            request(fields={"A": "B"}),
            id="field, by a function",
        ),
        pytest.param(
            {"filter_query_parameters": ["key"]}, request(target="/a?key=1&q=x"), request(target="/a?q=x"), id="query"
        ),
        pytest.param(
            {"filter_query_parameters": [("key", "K")]},
            request(target="/a?q=x&key=1"),
            request(target="/a?key=K&q=x"),
            id="query, replaced",
        ),
        pytest.param(
            {"filter_query_parameters": ["q"]}, request(target="/a?q=1"), request(target="/a"), id="all of the query"
        ),
        pytest.param(
            {"filter_post_data_parameters": ["p", ("q", "Q")]},
            request("POST", body=b"p=1&q=2&r=3"),
            request("POST", body=b"q=Q&r=3"),
            id="form",
        ),
        pytest.param(
            {"filter_post_data_parameters": ["p"]},
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"p": 1, "q": {"p": 2}}'),
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"q": {"p": 2}}'),
            id="JSON",
        ),
        pytest.param(
            {"filter_post_data_parameters": ["p"], "filter_nested_post_data_parameters": True},
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"p": 1, "q": [{"p": 2}]}'),
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"q": [{}]}'),
            id="JSON, nested",
        ),
        pytest.param(
            {"filter_post_data_parameters": [("p", "X")], "filter_nested_post_data_parameters": True},
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"p": 1, "q": [{"p": 2}, 3]}'),
            request("POST", fields={"Content-Type": "application/json"}, body=b'{"p": "X", "q": [{"p": "X"}, 3]}'),
            id="JSON, replaced",
        ),
        *[
            pytest.param(
                {"filter_post_data_parameters": ["p"]},
                request("POST", fields={"Content-Type": "application/json"}, body=body),
                request("POST", fields={"Content-Type": "application/json"}, body=body),
                id=f"JSON, {what}",
            )
            for what, body in [("broken", b'{"p":'), ("a number", b"7"), ("a list", b'[{"p": 1}]')]
        ],
        pytest.param(
            {"filter_post_data_parameters": ["p"]},
            request(
                "POST",
                fields={"Content-Type": "multipart/form-data; boundary=b"},
                body=b'--b\r\nContent-Disposition: form-data; name="p"\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n',
            ),
            request(
                "POST",
                fields={"Content-Type": "multipart/form-data; boundary=b"},
                body=b"--b\r\n\r\n2\r\n--b--\r\n",
            ),
            id="multipart, left out",
        ),
        pytest.param(
            {"filter_post_data_parameters": [("p", "X")]},
            request(
                "POST",
                fields={"Content-Type": "multipart/form-data; boundary=b"},
                body=b'--b\r\nContent-Disposition: form-data; name="p"\r\n\r\n1\r\n--b--\r\n',
            ),
            request(
                "POST",
                fields={"Content-Type": "multipart/form-data; boundary=b"},
                body=b'--b\r\nContent-Disposition: form-data; name="p"\r\n\r\nX\r\n--b--\r\n',
            ),
            id="multipart",
        ),
        pytest.param({"ignore_hosts": ["api.test"]}, request(), None, id="ignored host"),
        pytest.param({"ignore_hosts": [re.compile(r".*\.test")]}, request(), None, id="ignored hosts"),
        pytest.param({"ignore_hosts": ["other.test"]}, request(), request(), id="another ignored host"),
        pytest.param(
            {"ignore_localhost": True}, request(origin=Origin("http", "127.0.0.1", 80)), None, id="ignored localhost"
        ),
        pytest.param({"before_record_request": lambda request: None}, request(), None, id="dropped"),
        pytest.param({"before_record": lambda request: None}, request(), None, id="dropped by the old name"),
    ],
)
def test_filters_change_what_is_matched_and_recorded(
    config: dict[str, Any], sent: Request, expected: Request | None
) -> None:
    assert changed(config, sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request("POST", fields={"Content-Type": "application/x-www-form-urlencoded"}, body=b"p=1"), b""),
        (request("POST", fields={"Content-Length": "0"}), None),
        (request(fields={"Content-Type": "application/json"}), None),
    ],
    ids=["emptied by a filter", "of a POST without one", "of a GET"],
)
def test_body_that_a_filter_emptied_is_no_missing_one(sent: Request, expected: bytes | None) -> None:
    filtered = changed({"filter_post_data_parameters": ["p"]}, sent)
    assert filtered is not None
    assert VcrRequest.of(filtered).body == expected


def set_uri(asked: Any) -> Any:
    asked.uri = asked.uri.replace("api.test", "other.test:8443")
    return asked


def move_to_ftp(request: Any) -> Any:
    request.uri = "ftp://x/"
    return request


def clear(asked: Any) -> Any:
    asked.headers.clear()
    return asked


def replace_headers(asked: Any) -> Any:
    asked.headers = {"X": "1", "host": "named.test"}
    return asked


def set_body(asked: Any) -> Any:
    asked.body = asked.body.replace(b"ada", b"somebody")
    return asked


def set_text(asked: Any) -> Any:
    asked.body = "text ☕"
    return asked


@pytest.mark.parametrize(
    ("functions", "head", "body"),
    [
        pytest.param(
            lambda asked: asked,
            "POST /a?b=c HTTP/1.1\r\nHost: api.test\r\nA: b\r\nContent-Length: 3",
            b"ada",
            id="same",
        ),
        pytest.param(
            set_uri, "POST /a?b=c HTTP/1.1\r\nHost: other.test:8443\r\nA: b\r\nContent-Length: 3", b"ada", id="host"
        ),
        pytest.param(clear, "POST /a?b=c HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3", b"ada", id="no fields"),
        pytest.param(
            replace_headers,
            "POST /a?b=c HTTP/1.1\r\nHost: named.test\r\nX: 1\r\nContent-Length: 3",
            b"ada",
            id="fields",
        ),
        pytest.param(
            set_body, "POST /a?b=c HTTP/1.1\r\nHost: api.test\r\nA: b\r\nContent-Length: 8", b"somebody", id="body"
        ),
        pytest.param(
            [set_body, set_text, clear],
            "POST /a?b=c HTTP/1.1\r\nHost: api.test\r\nContent-Length: 8",
            "text ☕".encode(),
            id="several",
        ),
    ],
)
def test_request_that_a_function_changed_is_one_that_can_be_sent(functions: Any, head: str, body: bytes) -> None:
    sent = request("POST", "/a?b=c", {"A": "b"}, b"ada")
    now = changed({"before_record_request": functions}, sent)
    assert now is not None
    lines = now.head_octets.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert (lines[0], sorted(lines[1:], key=str.lower)) == (
        head.split("\r\n")[0],
        sorted(head.split("\r\n")[1:], key=str.lower)
        if "named" not in head
        else ["Content-Length: 3", "host: named.test", "X: 1"],
    )
    assert now.content == body


def test_request_has_the_attributes_of_vcrpy() -> None:
    seen: dict[str, Any] = {}

    def look(asked: Any) -> Any:
        for name in ("method", "uri", "url", "scheme", "protocol", "host", "port", "path", "query", "body"):
            seen[name] = getattr(asked, name)
        seen["netloc"], seen["headers"] = asked.parsed_uri.netloc, repr(asked.headers.copy())
        seen["header"] = asked.headers["a"], "A" in asked.headers, list(asked.headers)
        return asked

    sent = request("POST", "/x?b=2&a=1", {"A": "b"}, b"ada")
    assert changed({"before_record_request": look}, sent) is sent
    assert seen == {
        "method": "POST",
        "uri": "https://api.test/x?b=2&a=1",
        "url": "https://api.test/x?b=2&a=1",
        "scheme": "https",
        "protocol": "https",
        "host": "api.test",
        "port": 443,
        "path": "/x",
        "query": [("a", "1"), ("b", "2")],
        "body": b"ada",
        "netloc": "api.test",
        "headers": "{'Host': 'api.test', 'A': 'b', 'Content-Length': '3'}",
        "header": ("b", True, ["Host", "A", "Content-Length"]),
    }


# ---------------------------------------------------------------------- responses

ANSWER = b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nContent-Length: 3\r\n\r\nada"
ZIPPED = gzip.compress(b'{"a": 1}')
CODED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED


def answered(config: dict[str, Any], octets: bytes) -> bytes | None:
    options = translate(config).options
    assert options["on_record"] == options["on_replay"], "what VCR.py reads goes through the function as well"
    (on_record,) = options["on_record"]
    now = on_record(Interaction(API, request(), Track((Piece(octets),))))
    return None if now is None else now.track.octets


def set_status(response: Any) -> Any:
    response["status"] = {"code": 404, "message": "Gone Fishing"}
    return response


def drop_fields(response: Any) -> Any:
    response["headers"] = {}
    return response


def set_field(response: Any) -> Any:
    response["headers"]["B"] = "text"
    return response


def set_string(response: Any) -> Any:
    response["body"]["string"] = json.dumps({**json.loads(response["body"]["string"]), "b": 2})
    return response


@pytest.mark.parametrize(
    ("config", "octets", "expected"),
    [
        pytest.param({"before_record_response": lambda response: response}, ANSWER, ANSWER, id="same"),
        pytest.param({"before_record_response": lambda response: None}, ANSWER, None, id="dropped"),
        pytest.param(
            {"before_record_response": set_status},
            ANSWER,
            b"HTTP/1.1 404 Gone Fishing\r\nA: 1\r\nA: 2\r\nContent-Length: 3\r\n\r\nada",
            id="status",
        ),
        pytest.param({"before_record_response": drop_fields}, ANSWER, b"HTTP/1.1 200 OK\r\n\r\nada", id="no fields"),
        pytest.param(
            {"before_record_response": [set_field]},
            ANSWER,
            b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nContent-Length: 3\r\nB: text\r\n\r\nada",
            id="field",
        ),
        pytest.param({"decode_compressed_response": True}, ANSWER, ANSWER, id="not compressed"),
        pytest.param(
            {"decode_compressed_response": True},
            CODED,
            b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}',
            id="compressed",
        ),
        pytest.param(
            {"decode_compressed_response": True, "before_record_response": set_string},
            CODED,
            b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"a": 1, "b": 2}',
            id="compressed, changed",
        ),
    ],
)
def test_functions_change_responses(config: dict[str, Any], octets: bytes, expected: bytes | None) -> None:
    assert answered(config, octets) == expected


@pytest.mark.parametrize("is_compressed_again", [True, False])
def test_function_gets_content_as_it_came_and_may_leave_it_decoded(is_compressed_again: bool) -> None:
    def add_b(response: Any) -> Any:
        response["body"]["string"] = gzip.decompress(response["body"]["string"])
        response = set_string(response)
        if is_compressed_again:
            response["body"]["string"] = gzip.compress(response["body"]["string"].encode())
        return response

    now = answered({"before_record_response": add_b}, CODED)
    assert now is not None
    assert gzip.decompress(now.partition(b"\r\n\r\n")[2]) == b'{"a": 1, "b": 2}'


@pytest.mark.parametrize(
    ("config", "value", "message"),
    [
        pytest.param(
            {"before_record_response": lambda r: {"status": 1}}, "response", "response that is none", id="response"
        ),
        pytest.param({"before_record_request": set_uri}, "request", None, id="fine"),
        pytest.param({"before_record_request": move_to_ftp}, "request", "not HTTP", id="request"),
    ],
)
def test_function_that_makes_something_else_is_reported(
    config: dict[str, Any], value: str, message: str | None
) -> None:
    def run() -> object:
        return changed(config, request()) if value == "request" else answered(config, ANSWER)

    if message is None:
        assert run() is not None
        return
    with pytest.raises(InvalidOption, match=message):
        run()


# ---------------------------------------------------------------------- the other keys


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        pytest.param({}, "match", ["method", "scheme", "host", "port", "path", "query"], id="match as VCR.py does"),
        pytest.param({"match_on": ["url", "raw_body"]}, "match", ["uri", "raw_body"], id="match_on"),
        pytest.param({"match_on": ["method"], "additional_matchers": ["body"]}, "match", ["method", "body"], id="more"),
        pytest.param({"allow_playback_repeats": True}, "repeat", "first", id="repeats"),
        pytest.param({"record_mode": "new_episodes"}, "mode", "new_episodes", id="mode"),
        pytest.param({"filter_sensitive_data": {"<PIN>": "1234"}}, "secrets", {"PIN": "1234"}, id="secrets"),
    ],
)
def test_keys_become_options(config: dict[str, Any], key: str, value: object) -> None:
    translated = translate(config)
    assert translated.options[key] == value
    assert translated.remarks == []


def test_what_cannot_be_kept_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidOption, match="'custom_patches' cannot be kept: no library is patched here"):
        translate({"custom_patches": ((object, "a", object),)})


@pytest.mark.parametrize(
    ("config", "remarks"),
    [
        pytest.param({"custom_patches": (), "inject_cassette": True}, [], id="without meaning"),
        pytest.param({"record_on_exception": True, "drop_unused_requests": False}, [], id="what is so anyway"),
        pytest.param(
            {"drop_unused_requests": True},
            ["vcr: 'drop_unused_requests' is not done here: --cassette-prune does it for a whole run"],
            id="not done",
        ),
        pytest.param(
            {"filter_sensitive_data": {"<PIN>": lambda interaction: "1234"}},
            ["vcr: 'filter_sensitive_data' with a function, for '<PIN>', does nothing here"],
            id="secret of a function",
        ),
        pytest.param({"colour": "red"}, ["vcr: 'colour' is not known here, and does nothing"], id="unknown"),
        pytest.param(
            {"mode": "once"},
            ["vcr: 'mode' is not known here, and does nothing; did you mean \"record_mode\"?"],
            id="a word of ours",
        ),
    ],
)
def test_what_is_not_done_is_remarked(config: dict[str, Any], remarks: list[str]) -> None:
    assert translate(config).remarks == remarks


def by_path(one: Any, other: Any) -> None:
    assert one.path == other.path, "another path"


@pytest.mark.parametrize("matcher", [by_path, lambda one, other: one.path == other.path])
@pytest.mark.parametrize("is_registered", [True, False])
def test_matchers_of_the_suite_get_requests_of_vcrpy(matcher: Callable[..., Any], is_registered: bool) -> None:
    from cassette_http.cassette.matching import resolve

    match_on = ["method", "mine" if is_registered else matcher]
    matching = resolve(translate({"match_on": match_on}, {"mine": matcher}).options["match"])
    assert matching.accepts(request(target="/a?b"), request(target="/a?c"))
    assert not matching.accepts(request(target="/a"), request(target="/b"))


def test_headers_are_matched_as_far_as_vcrpy_keeps_them() -> None:
    (matcher,) = translate({"match_on": ["headers"]}).options["match"]
    assert matcher(request(fields={"A": "b", "Accept-Encoding": "identity"})) == matcher(request(fields={"a": "b"}))
    assert matcher(request(fields={"A": "b"})) != matcher(request(fields={"A": "c"}))
