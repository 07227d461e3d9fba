"""`cassette_http.vcr`: programs that import `vcr` do what they did when they import this instead."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cassette_http import CassetteWarning, InvalidOption, vcr
from cassette_http.vcr import VCR
from tests.asking import get, get_or_none
from tests.peer import Peer, keep_alive, response

# A cassette of VCR.py; what is asked is nobody's.
URL = "http://old.test/users"
OLD = f"""
interactions:
- request: {{body: null, headers: {{}}, method: GET, uri: '{URL}'}}
  response: {{body: {{string: <NAME>}}, headers: {{}}, status: {{code: 200, message: OK}}}}
version: 1
"""


@pytest.fixture
def server(peer: Callable[..., Peer]) -> Peer:
    return peer(keep_alive(lambda request: response(request.split(b" ")[1])))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_text(OLD)
    return path


def test_cassette_is_recorded_once_and_then_played(server: Peer, tmp_path: Path) -> None:
    with vcr.use_cassette(str(tmp_path / "new.yaml")) as cassette:
        assert get(server.url + "/a") == "/a"
        assert (cassette.dirty, cassette.write_protected) == (True, False)
    server.stop()
    with vcr.use_cassette(tmp_path / "new.yaml") as cassette:
        assert get(server.url + "/a") == "/a"
        assert (cassette.play_count, cassette.all_played) == (1, True)
        assert (cassette.dirty, cassette.write_protected) == (False, True)
        (request,) = cassette
        assert request not in cassette
        cassette.rewind()
        assert request in cassette
        assert (cassette.play_count, cassette.all_played) == (0, False)
        assert get(server.url + "/a") == "/a"
        assert cassette.play_counts == {0: 1}
        assert repr(cassette) == repr(cassette.cassette)
        (answer,) = cassette.responses_of(request)
        assert answer["body"]["string"] == b"/a"
        with pytest.raises(vcr.UnhandledHTTPRequestError, match="has no interaction for GET"):
            cassette.responses_of(vcr.Request("GET", server.url + "/b", None, {}))
        assert get_or_none(server.url + "/b") is None
        cassette.misses.clear()


@pytest.mark.parametrize("mode", [vcr.mode.NONE, "none"])
def test_missing_cassette_in_mode_none_refuses_what_is_asked(mode: Any, tmp_path: Path) -> None:
    using = VCR(record_mode=mode).use_cassette(str(tmp_path / "none.yaml"))
    cassette = using.__enter__()
    assert cassette.record_mode == vcr.RecordMode.NONE
    assert get_or_none(URL) is None
    with pytest.raises(vcr.CannotOverwriteExistingCassetteException, match="there is no cassette"):
        using.__exit__(None, None, None)


def test_attributes_are_options_and_count_until_the_cassette_is_used(old: Path) -> None:
    recorder = VCR(path_transformer=VCR.ensure_suffix(".yaml"))
    assert recorder.path_transformer(Path("old")) == recorder.path_transformer("old.yaml") == "old.yaml"
    used = recorder.use_cassette("old", match_on=[*recorder.match_on, "mine"])
    recorder.cassette_library_dir = old.parent
    recorder.register_matcher("mine", lambda one, other: one.uri == other.uri)
    with used:
        assert get(URL) == "<NAME>"


def test_matcher_of_the_suite_takes_the_place_of_one_with_its_name(old: Path) -> None:
    recorder = VCR(match_on=["method", "path"])
    recorder.matchers["path"] = lambda one, other: vcr.matchers.host(one, other)
    with recorder.use_cassette(str(old)):
        assert get(URL + "/7") == "<NAME>"


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("name", "body", "headers", "is_same"),
    [
        pytest.param("body", b'{"b": 2, "a": 1.0}', JSON, True, id="the same value"),
        pytest.param("raw_body", b'{"b": 2, "a": 1.0}', JSON, False, id="in other octets"),
        pytest.param("body", b'{"a": 1, "b": 3}', JSON, False, id="another value"),
        pytest.param("body", b'{"a": 1, "b": ', JSON, False, id="no JSON"),
        pytest.param("headers", b"", {"content-type": "application/json"}, True, id="names in small letters"),
        pytest.param("headers", b"", {}, False, id="without a field"),
        pytest.param("method", b"", {}, True, id="the same method"),
    ],
)
def test_matchers_compare_two_requests(name: str, body: bytes, headers: dict[str, str], is_same: bool) -> None:
    matcher = getattr(vcr.matchers, name)
    one = vcr.Request("POST", URL, b'{"a": 1, "b": 2}', JSON)
    other = vcr.Request("POST", URL, body, headers)
    if is_same:
        matcher(one, other)
    else:
        with pytest.raises(AssertionError, match=f"{name}: .* != "):
            matcher(one, other)


@pytest.mark.parametrize(
    ("recorder", "path", "place"),
    [
        pytest.param(VCR(), "a.yaml", "a.yaml", id="as it is"),
        pytest.param(VCR(cassette_library_dir="tapes"), "a.yaml", "tapes/a.yaml", id="in the library"),
        pytest.param(VCR(cassette_library_dir="tapes"), "tapes/a.yaml", "tapes/a.yaml", id="in it already"),
        pytest.param(VCR(path_transformer=VCR.ensure_suffix(".yml")), "a.yml", "a.yml", id="with its suffix already"),
        pytest.param(VCR(), None, "test_vcr/asked", id="of the function"),
        pytest.param(VCR(cassette_library_dir="tapes"), None, "tapes/asked", id="of the function, in the library"),
        pytest.param(VCR(func_path_generator=lambda asked: "b.yaml"), None, "b.yaml", id="of a function of the suite"),
    ],
)
def test_decorator_says_where_the_cassette_is(
    recorder: VCR, path: str | None, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(cassette: vcr.Cassette) -> str:
        return cassette.path

    used = recorder.use_cassette(path, inject_cassette=True)(asked)
    expected = place.replace("test_vcr", str(Path(__file__).parent))
    assert used() == expected  # type: ignore[call-arg]  # the cassette is given by the decorator


def test_method_gets_the_cassette_behind_its_object(tmp_path: Path) -> None:
    class Case:
        @VCR(inject_cassette=True, cassette_library_dir=str(tmp_path)).use_cassette("a.yaml")
        def asked(self, cassette: vcr.Cassette, value: int) -> tuple[object, str, int]:
            return self, Path(cassette.path).name, value

    case = Case()
    assert case.asked(1) == (case, "a.yaml", 1)  # type: ignore[call-arg,arg-type]  # the cassette is given by the decorator


def test_every_kind_of_function_is_decorated_with_the_cassette(old: Path) -> None:
    using = VCR(cassette_library_dir=str(old.parent)).use_cassette("old.yaml")

    @using
    def plain() -> str:
        return get(URL)

    @using
    async def coroutine() -> str:
        return get(URL)

    @using
    def generator() -> Iterator[str]:
        yield get(URL)

    assert [plain(), asyncio.run(coroutine()), *generator(), plain()] == ["<NAME>"] * 4


def test_function_is_decorated_without_brackets(old: Path) -> None:
    (old.parent / "ask").write_text(OLD)
    recorder = VCR(cassette_library_dir=str(old.parent))

    @recorder.use_cassette
    def ask() -> str:
        return get(URL)

    assert ask() == "<NAME>"


def test_persister_and_serializer_of_a_suite_read_their_cassettes(tmp_path: Path) -> None:
    class Serializer:
        serialize = staticmethod(json.dumps)
        deserialize = staticmethod(json.loads)

    class Persister(vcr.FilesystemPersister):
        names: ClassVar[dict[str, str]] = {}

        @classmethod
        def load_cassette(cls, cassette_path: Any, serializer: Any) -> Any:
            text = Path(cassette_path).read_text()
            for name, value in cls.names.items():
                text = text.replace(name, value)
            return vcr.deserialize(text, serializer)

    recorder = VCR(serializer="mine", cassette_library_dir=str(tmp_path))
    recorder.register_serializer("mine", Serializer)
    recorder.register_persister(Persister)
    recorder.persister.names["<NAME>"] = "Ada"
    request = vcr.Request("GET", URL, None, {"Accept": ["*/*"]})
    answer = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "<NAME>"}}
    text = vcr.serialize({"requests": [request], "responses": [answer]}, Serializer)
    (tmp_path / "old.json").write_text(text)
    with recorder.use_cassette("old.json"):
        assert get(URL) == "Ada"


class Table:
    """A persister that keeps cassettes in no file."""

    kept: ClassVar[dict[str, str]] = {}

    @classmethod
    def load_cassette(cls, cassette_path: Any, serializer: Any) -> Any:
        if cassette_path not in cls.kept:
            raise vcr.CassetteNotFoundError(cassette_path)
        return vcr.deserialize(cls.kept[cassette_path], serializer)


@pytest.mark.parametrize("on_exception", [True, False])
@pytest.mark.parametrize("name", ["a.yaml", "a.table"])
def test_persister_is_asked_for_a_cassette_that_is_in_no_file(
    name: str, on_exception: bool, old: Path, server: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / name
    monkeypatch.setattr(Table, "kept", {str(path): old.read_text()})
    recorder = VCR(persister=Table, record_on_exception=on_exception)
    with recorder.use_cassette(str(path)) as cassette:
        assert (get(URL), cassette.write_protected) == ("<NAME>", True)
    assert not path.parent.exists()
    with recorder.use_cassette(str(path), record_mode="new_episodes"):
        assert (get(URL), get(server.url + "/new")) == ("<NAME>", "/new")
    server.stop()
    with recorder.use_cassette(str(path), record_mode="none"):
        assert (get(URL), get(server.url + "/new")) == ("<NAME>", "/new")
    assert os.listdir(path.parent) == [name.removesuffix(".yaml") + ".yaml"]
    with pytest.raises(urllib.error.URLError), recorder.use_cassette(str(tmp_path / "b.yaml"), record_mode="none"):
        get(URL)


def test_cassette_of_a_serializer_that_is_recorded_on_success_alone(server: Peer, tmp_path: Path) -> None:
    recorder = VCR(serializer="json", record_on_exception=False)
    recorder.register_serializer("json", vcr.serializers.jsonserializer)
    with recorder.use_cassette(str(tmp_path / "a.json")):
        assert get(server.url + "/a") == "/a"
    server.stop()
    with recorder.use_cassette(str(tmp_path / "a.json")):
        assert get(server.url + "/a") == "/a"
    assert os.listdir(tmp_path) == ["a.json"]


def test_cassette_goes_through_the_persister_of_files_unchanged(tmp_path: Path) -> None:
    path, octets = tmp_path / "old.yaml", b"\0\xff"
    request = vcr.Request("GET", URL, None, {})
    answer = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": octets}}
    cassette = {"requests": [request], "responses": [answer]}
    vcr.FilesystemPersister.save_cassette(path, cassette, vcr.serializers.yamlserializer)
    recorder = VCR()
    recorder.persister = vcr.FilesystemPersister
    with recorder.use_cassette(str(path)):
        assert urllib.request.urlopen(URL).read() == octets


def test_persister_of_files_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    with pytest.raises(vcr.persisters.filesystem.CassetteNotFoundError):
        vcr.FilesystemPersister.load_cassette(path, vcr.serializers.yamlserializer)
    path.write_text(" \n")
    with pytest.raises(vcr.persisters.filesystem.CassetteNotFoundError, match=r"old\.yaml is empty"):
        vcr.FilesystemPersister.load_cassette(path, vcr.serializers.yamlserializer)
    path.write_bytes(b"\xff")
    with pytest.raises(vcr.persisters.filesystem.CassetteDecodeError, match=r"old\.yaml is not in UTF-8"):
        vcr.FilesystemPersister.load_cassette(path, vcr.serializers.yamlserializer)


def test_cassette_without_a_path_is_for_functions_alone() -> None:
    with pytest.raises(TypeError, match="needs the path of a cassette"), vcr.use_cassette():
        pass


def test_failure_goes_past_functions_for_responses(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        for _ in ("recorded", "played"):
            recorder = VCR(before_record_response=lambda response: None)
            with (
                recorder.use_cassette(str(tmp_path / "a.yaml")) as cassette,
                pytest.raises(urllib.error.URLError, match="Connection refused"),
            ):
                urllib.request.urlopen(url)
    assert cassette.play_count == 1


def test_functions_of_a_suite_see_the_url_of_a_response(old: Path) -> None:
    def renamed(response: dict[str, Any]) -> dict[str, Any]:
        response["body"]["string"] = response["url"].encode()
        return response

    with VCR(before_record_response=renamed).use_cassette(str(old)):
        assert get(URL) == URL


def test_functions_see_an_interaction_before_it_is_stored_and_after_it_was_loaded(server: Peer, tmp_path: Path) -> None:
    path = str(tmp_path / "a.yaml")

    def stored(request: Any, response: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        request.headers["X-Seen"] = "yes"
        response["body"]["string"] = b"stored"
        return None if request.path == "/dropped" else (request, response)

    def loaded(request: Any, response: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        response["body"]["string"] += b" and loaded"
        return request, response

    recorder = VCR(before_save_interaction=stored, after_load_interaction=[loaded])
    with recorder.use_cassette(path) as cassette:
        assert (get(server.url + "/kept"), get(server.url + "/dropped")) == ("/kept", "/dropped")
    assert [(one.path, one.headers["X-Seen"]) for one in cassette.requests] == [("/kept", "yes")]
    server.stop()
    with recorder.use_cassette(path):
        assert get(server.url + "/kept") == "stored and loaded"


def test_function_of_a_suite_calls_the_filters() -> None:
    request = vcr.Request("POST", "http://a.test/?key=k&page=2", "user=bob&pin=1234", {"X-Key": "k", "X-Page": "2"})
    vcr.filters.remove_headers(request, ["X-Key"])
    vcr.filters.replace_query_parameters(request, [("key", "K"), ("page", lambda key, value, request: value * 2)])
    vcr.filters.replace_post_data_parameters(request, [("pin", None)])
    assert (request.uri, vcr.util.read_body(request)) == ("http://a.test/?key=K&page=22", b"user=bob")
    assert dict(request.headers) == {"X-Page": "2"}
    request.body = "api%3Akey=1&user=bob&the+pin=2"
    vcr.remove_post_data_parameters(request, ["api%3Akey", "the pin"])
    assert request.body == b"user=bob"
    request.method = "PUT"
    assert vcr.remove_post_data_parameters(request, ["user"]).body == b"user=bob"
    packed = {"headers": {"Content-Encoding": ["gzip"]}, "body": {"string": gzip.compress(b"plain")}}
    assert vcr.decode_response(packed) == {"headers": {"Content-Length": ["5"]}, "body": {"string": b"plain"}}


def test_unknown_serializer_is_reported(old: Path) -> None:
    with (
        pytest.raises(InvalidOption, match="there is no serializer 'jsn'; did you mean \"json\""),
        vcr.use_cassette(str(old), serializer="jsn"),
    ):
        pass


def test_wrong_options_are_reported_as_vcr_reports_them(old: Path) -> None:
    with pytest.raises(ValueError, match="there is no record mode 'onec'"):
        VCR(record_mode="onec")
    with (
        pytest.raises(KeyError, match=r"^there is no matcher 'metod'; did you mean \"method\""),
        vcr.use_cassette(str(old), match_on=["metod"]),
    ):
        pass
    with (
        pytest.raises(InvalidOption, match="before_save_interaction takes functions of a request and a response"),
        vcr.use_cassette(str(old), before_save_interaction=lambda request, response, cassette: None),
    ):
        pass


def test_option_that_does_nothing_is_told_by_a_warning(old: Path) -> None:
    with pytest.warns(CassetteWarning, match="vcr: 'colour' is not known here"), vcr.use_cassette(str(old), colour=1):
        pass


def test_cases_of_unittest_have_a_cassette_each(old: Path) -> None:
    class Case(vcr.VCRTestCase):
        def _get_cassette_library_dir(self) -> str:
            return str(old.parent)

        def _get_vcr_kwargs(self, **options: Any) -> dict[str, Any]:
            return super()._get_vcr_kwargs(match_on=["path"], **options)

        def test_it(self) -> None:
            assert get(URL.replace("old.", "new.")) == "<NAME>"
            assert self.cassette.play_count == 1

    old.rename(old.with_name("Case.test_it.yaml"))
    result = unittest.TestResult()
    Case("test_it").run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


def test_names_are_found_where_suites_say_that_they_are() -> None:
    assert vcr.errors.CannotOverwriteExistingCassetteException is vcr.CannotOverwriteExistingCassetteException
    assert vcr.cassette.Cassette is vcr.Cassette
    assert vcr.record_mode.RecordMode is vcr.mode
    assert vcr.serializers.yamlserializer.deserialize("a: [1]") == {"a": [1]}
    assert vcr.serializers.jsonserializer.deserialize('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize("chosen", [None, lambda name, value: name == "test_asks"], ids=["by name", "by a function"])
def test_class_of_tests_has_a_cassette_for_each_test(chosen: Any, old: Path) -> None:
    (old.parent / "test_asks.yaml").write_text(OLD)
    base: Any = VCR(cassette_library_dir=str(old.parent), path_transformer=VCR.ensure_suffix(".yaml")).test_case(chosen)

    class Tests(base):  # type: ignore[misc]  # its class is made on the fly, as VCR.py makes it
        name = "not a test"

        def test_asks(self) -> str:
            return get(URL)

        def helper(self) -> str:
            return self.name

    assert (Tests().test_asks(), Tests().helper()) == ("<NAME>", "not a test")
