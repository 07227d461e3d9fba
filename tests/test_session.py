"""`use_cassette`: what it opens, what each record mode does, how it ends."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cassette_http import (
    CassetteError,
    CassetteFormatError,
    CassetteNotFound,
    CassetteNotWritable,
    CassetteWarning,
    InvalidOption,
    RecordMode,
    UnmatchedRequest,
    use_cassette,
)
from tests.asking import get, get_with_our_client, targets
from tests.peer import LIMIT_S, Peer, keep_alive, response

# ---------------------------------------------------------------------- record modes

PLAYED, RECORDED, REFUSED = "played", "recorded", "refused"

#                       the file has /old: asked /old, asked /new    no file: asked /new   in the file afterwards
MODE_TABLE = [
    (RecordMode.NONE,         PLAYED,   REFUSED,                       CassetteNotFound,     ["/old"]),
    (RecordMode.ONCE,         PLAYED,   REFUSED,                       RECORDED,             ["/old"]),
    (RecordMode.NEW_EPISODES, PLAYED,   RECORDED,                      RECORDED,             ["/old", "/new"]),
    (RecordMode.ALL,          RECORDED, RECORDED,                      RECORDED,             ["/old", "/old", "/new"]),
    (RecordMode.REWRITE,      RECORDED, RECORDED,                      RECORDED,             ["/old", "/new"]),
]  # fmt: skip


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
@pytest.mark.parametrize(("mode", "old", "new", "_missing", "kept"), MODE_TABLE)
def test_mode_decides_about_a_file_that_has_interactions(
    mode: RecordMode,
    old: str,
    new: str,
    _missing: object,
    kept: list[str],
    ask: Callable[[str], str],
    counter: Peer,
    path: Path,
) -> None:
    with use_cassette(path):
        assert ask(f"{counter.url}/old") == "/old 1"
    with use_cassette(path, mode) as cassette:
        assert ask(f"{counter.url}/old") == {PLAYED: "/old 1", RECORDED: "/old 2"}[old]
        if new == REFUSED:
            with pytest.raises(OSError, match=r"no interaction for GET .*/new"):
                ask(f"{counter.url}/new")
            assert [miss.request.url for miss in cassette.misses] == [f"{counter.url}/new"]
            cassette.misses.clear()
        else:
            ask(f"{counter.url}/new")
    with use_cassette(path, "none") as cassette:
        assert targets(cassette) == kept


@pytest.mark.parametrize(("mode", "_old", "_new", "missing", "_kept"), MODE_TABLE)
def test_mode_decides_about_a_missing_file(
    mode: RecordMode, _old: str, _new: str, missing: object, _kept: object, counter: Peer, path: Path
) -> None:
    if missing is CassetteNotFound:
        with pytest.raises(CassetteNotFound, match='to record it, run once with record_mode="once"'):
            use_cassette(path, mode).__enter__()
        assert not path.parent.exists()
        return
    with use_cassette(path, mode):
        assert get(f"{counter.url}/new") == "/new 1"
    with use_cassette(path, "none"):
        assert get(f"{counter.url}/new") == "/new 1"


def test_file_with_nothing_but_tls_facts_is_recorded_once(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"recorded")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("cassette: 1\n---\ntls: https://api.test\nversion: TLSv1.3\n---\n")
    with use_cassette(path, "once") as cassette:
        assert get(server.url) == "recorded"
    assert len(cassette.recorded) == 1


@pytest.mark.parametrize(("environment", "is_recorded"), [("true", False), ("1", False), ("false", True), ("", True)])
def test_ci_server_records_nothing_that_was_not_asked_for(
    environment: str, is_recorded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", environment)
    path = tmp_path / "users.yaml"
    if is_recorded:
        with use_cassette(path):
            pass
        assert path.exists()
    else:
        with pytest.raises(CassetteNotFound, match="record_mode"), use_cassette(path):
            pass
    with use_cassette(path, "once"):
        pass
    assert path.exists()


FIRST_REQUEST = """
import sys
import urllib.request
from cassette_http import use_cassette

with use_cassette(sys.argv[1], record_mode=sys.argv[2]):
    known = set(sys.modules)
    urllib.request.urlopen(sys.argv[3]).read()
    sys.exit(", ".join(name for name in set(sys.modules) - known if name.startswith("cassette_http")))
"""


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_first_answer_that_is_recorded_waits_for_no_import(mode: str, counter: Peer, path: Path) -> None:
    program = [sys.executable, "-c", FIRST_REQUEST, str(path), mode, counter.url]
    told = subprocess.run(program, check=False, timeout=LIMIT_S, capture_output=True, text=True)
    assert told.stderr.strip() == ""


def test_block_without_traffic_can_be_replayed_too(path: Path) -> None:
    with use_cassette(path):
        pass
    with use_cassette(path, "none") as cassette:
        assert len(cassette) == 0


def test_block_without_traffic_makes_no_file_where_it_may_be_missing(path: Path) -> None:
    with use_cassette(path, allow_missing=True):
        pass
    assert not path.exists()


def test_exception_keeps_the_old_cassette_when_it_is_rewritten(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/old")
    old = path.read_bytes()
    with pytest.raises(ZeroDivisionError), use_cassette(path, "rewrite"):
        print(get(f"{counter.url}/new"), 1 / 0)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_missing_file_may_be_taken_for_an_empty_one(path: Path) -> None:
    with use_cassette(path, "none", allow_missing=True) as cassette:
        assert len(cassette) == 0


@pytest.mark.parametrize(
    ("repeat", "seen"),
    [
        ("last", ["/a 1", "/a 2", "/a 2"]),
        ("cycle", ["/a 1", "/a 2", "/a 1"]),
        ("first", ["/a 1", "/a 1", "/a 1"]),
    ],
)
def test_played_interactions_repeat_as_they_are_told(repeat: str, seen: list[str], counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a")
        get(f"{counter.url}/a")
    with use_cassette(path, repeat=repeat):
        assert [get(f"{counter.url}/a") for _ in range(3)] == seen


@pytest.mark.parametrize("ask", [get, get_with_our_client], ids=["urllib", "our client"])
def test_cassette_tells_what_was_played_recorded_and_left(ask: Callable[[str], str], counter: Peer, path: Path) -> None:
    with use_cassette(path) as cassette:
        ask(f"{counter.url}/a")
        ask(f"{counter.url}/b")
        assert len(cassette.recorded) == 2
    with use_cassette(path, "new_episodes") as cassette:
        ask(f"{counter.url}/b")
        ask(f"{counter.url}/c")
        assert cassette.play_count == 1
        assert [one.request.head.target for one in cassette.played if one.request] == ["/b"]
        assert [one.request.head.target for one in cassette.unplayed if one.request] == ["/a"]
        assert targets(cassette) == ["/a", "/b", "/c"]
        assert [(one.outcome, one.number) for one in cassette.history] == [("played", 2), ("recorded", None)]
        assert [one.interaction for one in cassette.history] == cassette.played + cassette.recorded
        assert (len(cassette), cassette.path, cassette.record_mode) == (3, path, RecordMode.NEW_EPISODES)
        assert repr(cassette).endswith("new_episodes: 2 loaded, 1 played, 1 recorded, 0 missed>")


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record_mode": "onse"}, "there is no record mode 'onse'; did you mean \"once\""),
        ({"record_mode": 7}, "there is no record mode 7"),
        ({"match": ["hots"]}, "there is no matcher 'hots'; did you mean \"host\""),
        ({"match": "hots"}, "there is no matcher 'hots'; did you mean \"host\""),
        ({"match": [7]}, "a matcher is a name or a function, not 7"),
        ({"redact": "$.user["}, "a path into JSON looks like"),
        ({"keep": "jvt"}, "there is no rule 'jvt' to turn off; did you mean \"jwt\""),
        ({"secrets": {"pin": 1234}}, "the secret 'pin' is a text or octets, not a value of type int"),
        ({"secrets": {"token": None}}, "the secret 'token' is a text or octets, not None; where it is not known, give"),
        ({"secrets": {"a}}b": "hush"}}, "the name of a secret is a short word"),
        ({"match_on": ["path"]}, "use_cassette has no option 'match_on'; did you mean \"match\""),
        ({"mode": "none"}, "use_cassette has no option 'mode'; did you mean \"record_mode\""),
        ({"colour": "red"}, r"use_cassette has no option 'colour' \(the options are: record_mode, match, "),
    ],
    ids=str,
)
def test_wrong_option_is_reported_where_it_was_written(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as wrong:
        use_cassette("users.yaml", **options)  # type: ignore[arg-type]  # that is what is tested
    assert isinstance(wrong.value, ValueError)


def test_subclass_may_have_options_of_its_own(tmp_path: Path) -> None:
    class InFolder(use_cassette):
        def __init__(self, name: str, folder: Path) -> None:
            super().__init__(folder / f"{name}.yaml", "once")

    with InFolder("users", folder=tmp_path) as cassette:
        assert cassette.path == tmp_path / "users.yaml"


@pytest.mark.parametrize("path", [len, None, b"users.yaml", ""], ids=repr)
def test_what_is_no_path_is_reported(path: object) -> None:
    with pytest.raises(InvalidOption, match="use_cassette takes the path of a cassette, as in"):
        use_cassette(path)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize(
    ("option", "message"),
    [
        pytest.param({"secrets": ["hunter-2-hunter"]}, r"secrets= takes names and values, as in", id="secrets"),
        pytest.param(
            {"blob_threshold": "1k"}, "blob_threshold= takes a number of octets, not '1k'", id="blob_threshold"
        ),
    ],
)
def test_option_of_a_wrong_type_is_reported(path: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as wrong:
        use_cassette(path, **option)
    assert "hunter" not in str(wrong.value)


def test_wrong_repeat_policy_is_reported(path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"there is no repeat policy 'often' \(the policies are: fail"):
        use_cassette(path, repeat="often").__enter__()
    assert get_is_plain()


def get_is_plain() -> bool:
    """Nothing is intercepted any more."""
    return socket.getaddrinfo.__module__ == "socket"


BROKEN_FILES = [
    pytest.param(b"users: [1, 2]\n", r"users.yaml, line 1: .*", id="foreign YAML"),
    pytest.param(b"{}", r"users.yaml, line 1: ", id="JSON"),
    pytest.param(b"# mine\nversion = 1\n\n[[interactions]]\n", "line 1: this is TOML, which is not read", id="TOML"),
    pytest.param(b"[[interactions]]\nuri = 'a'\n", "line 1: this is TOML, which is not read", id="TOML, a table"),
    pytest.param(b"cassette: 9\n---\n", r"line 1: 'cassette' is '9', but .* reads format 1 only", id="from the future"),
    pytest.param(b"interactions:\n- request: {}\nversion: 1\n", "line 2: interaction 1 of VCR.py: ", id="of VCR.py"),
    pytest.param(b"<html>\n</html>\n", "this is an HTML or XML file, not a cassette", id="HTML"),
    pytest.param(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n",
        "git lfs pull",
        id="pointer of Git LFS",
    ),
    pytest.param(b"\x89PNG\r\n\x1a\n\0\0", r"users\.yaml", id="a picture"),
    pytest.param(b"cassette: 1\n---\n<<<<<<< HEAD\n", "line 3: this is an unresolved merge conflict", id="conflict"),
    pytest.param(b"cassette: 1\nauthor: me\n---\n", r"users\.yaml, line 2: 'author' is no key", id="unknown key"),
]


@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all"])
@pytest.mark.parametrize(("octets", "message"), BROKEN_FILES)
def test_file_that_is_no_cassette_is_refused_and_not_touched(
    octets: bytes, message: str, mode: str, path: Path
) -> None:
    path.parent.mkdir()
    path.write_bytes(octets)
    with pytest.raises(CassetteFormatError, match=message) as broken:
        use_cassette(path, mode).__enter__()
    assert broken.value.path == str(path)
    assert path.read_bytes() == octets
    assert get_is_plain()


def test_broken_interaction_is_reported_with_its_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("cassette: 1\n---\nrequest: GET http://api.test/a\nresponse: two hundred\n---\n")
    expected = r"users\.yaml, line 4: 'response' must be a status"
    with pytest.raises(CassetteFormatError, match=expected), use_cassette(path, "none"):
        get("http://api.test/a")


def test_folder_in_the_place_of_the_file_is_reported(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(CassetteError, match="is a folder; name a file in it"):
        use_cassette(path).__enter__()


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_unwritable_folder_is_reported_at_the_end_and_disturbs_nobody(mode: str, counter: Peer, tmp_path: Path) -> None:
    (tmp_path / "cassettes").write_text("a file in the place of the folder")
    seen = []
    using = use_cassette(tmp_path / "cassettes" / "users.yaml", mode)
    with pytest.raises(CassetteNotWritable, match=r"Not a directory|File exists") as caught, using:
        seen += [get(f"{counter.url}/a"), get_with_our_client(f"{counter.url}/b")]
    assert seen == ["/a 1", "/b 2"]
    assert str(caught.value).endswith("; nothing was recorded")


def test_torn_document_is_left_out_with_a_warning_and_removed_by_the_next_recording(counter: Peer, path: Path) -> None:
    with use_cassette(path):
        get(f"{counter.url}/a")
        get(f"{counter.url}/b")
    path.write_bytes(path.read_bytes()[:-30])
    using = use_cassette(path, "new_episodes")
    with pytest.warns(CassetteWarning, match="the last document has no closing line"):
        cassette = using.__enter__()
    assert targets(cassette) == ["/a"]
    get(f"{counter.url}/c")
    using.__exit__(None, None, None)
    with use_cassette(path, "none") as cassette:
        assert targets(cassette) == ["/a", "/c"]


# ---------------------------------------------------------------------- secrets


def test_secret_that_is_recognised_late_is_taken_out_of_what_was_written_before(
    peer: Callable[..., Peer], path: Path
) -> None:
    secret = "kR8vQ2mZx7LpT4wN"
    server = peer(keep_alive(lambda request: response(b"your reference: " + secret.encode())))
    with use_cassette(path, "once"):
        get(f"{server.url}/reference")
        assert secret in path.read_text()
        urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/me", headers={"Authorization": f"Bearer {secret}"})
        ).close()
    assert secret not in path.read_text()
    assert "your reference: {{secret:1}}" in path.read_text()
    server.stop()
    with use_cassette(path, "none"):
        assert get(f"{server.url}/reference") == "your reference: {{secret:1}}"


@pytest.mark.parametrize("key", ["kQ9w3Vx7-another-one-0123456789", "test", "", "XXXXXXXXXXXXXXXXXXXX", "a%20b"])
@pytest.mark.parametrize("ask", [get, get_with_our_client])
def test_key_that_was_a_secret_may_be_any_when_it_is_played(
    ask: Callable[[str], str], key: str, counter: Peer, path: Path
) -> None:
    with use_cassette(path, "once"):
        ask(f"{counter.url}/maps?key=kR8vQ2mZx7LpT4wN3y&q=a&state=Zb7Qw2Lk9Vx4Rt6P")
        ask(f"{counter.url}/maps?key=users&q=a")
    assert "kR8vQ2mZx7LpT4wN3y" not in path.read_text()
    with use_cassette(path, "none"):
        assert ask(f"{counter.url}/maps?key={key}&q=a&state=x").endswith(" 1")
        assert ask(f"{counter.url}/maps?key=users&q=a").endswith(" 2")
    reason = "nearest is interaction 1, query: recorded q=a != sent q=b"
    with pytest.raises(UnmatchedRequest, match=reason), use_cassette(path, "none"), contextlib.suppress(OSError):
        ask(f"{counter.url}/maps?key={key}&q=b&state=x")
    with use_cassette(path, "new_episodes"):
        assert ask(f"{counter.url}/maps?key=orders&q=a&state=x").endswith(" 3")


def test_declared_secret_is_restored_in_replay(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b"you are " + request.split(b" ")[1][1:])))
    with use_cassette(path, "once", secrets={"who": "the-very-same-person"}):
        assert get(f"{server.url}/the-very-same-person") == "you are the-very-same-person"
    assert "the-very-same-person" not in path.read_text()
    server.stop()
    with use_cassette(path, "none", secrets={"who": "another-person-altogether"}):
        assert get(f"{server.url}/another-person-altogether") == "you are another-person-altogether"


def test_secrets_of_the_environment_are_known_from_the_start(
    peer: Callable[..., Peer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_TOKEN", "zX9-plain-looking-value-41")
    server = peer(keep_alive(lambda request: response(b"zX9-plain-looking-value-41")))
    with use_cassette(path, "once"):
        get(server.url)
    assert "zX9-plain-looking-value-41" not in path.read_text()


def test_rules_for_secrets_can_be_added_and_turned_off(peer: Callable[..., Peer], path: Path) -> None:
    server = peer(keep_alive(lambda request: response(b'{"badge": "blue-42-horse", "password": "swordfish-9"}')))
    with use_cassette(path, "once", redact=["json:badge"], keep=["password"]):
        get(server.url)
    assert '"badge": "{{secret:1}}", "password": "swordfish-9"' in path.read_text()
    with pytest.raises(InvalidOption):
        use_cassette(path, keep=["no such rule"])


def test_other_cassettes_answer_too_and_are_only_read(path: Path, tmp_path: Path, peer: Callable[..., Peer]) -> None:
    server = peer(keep_alive(lambda request: response(request.split(b" ")[1])))
    others = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for other in others:
        with use_cassette(other):
            get(f"{server.url}/{other.stem}")
    before = [other.read_bytes() for other in others]
    with use_cassette(path, "new_episodes", also=others) as cassette:
        assert [get(f"{server.url}/{name}") for name in "abc"] == ["/a", "/b", "/c"]
        assert (cassette.play_count, len(cassette.recorded)) == (2, 1)
    assert [other.read_bytes() for other in others] == before
    server.stop()
    with use_cassette(path, "none", also=others) as cassette:
        assert [get(f"{server.url}/{name}") for name in "cba"] == ["/c", "/b", "/a"]
        assert cassette.unplayed == []


def test_other_cassette_that_is_not_there_is_an_error(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CassetteNotFound, match="nothing"):
        use_cassette(path, "once", also=tmp_path / "nothing.yaml").__enter__()
