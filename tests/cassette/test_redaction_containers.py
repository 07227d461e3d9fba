"""Secrets in files within strings, in archives and Protocol Buffers: what holds one is written anew, and still read."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from html import escape
from io import BytesIO
from urllib.parse import quote

import pytest

from cassette_http.cassette.model import Interaction, Origin, Piece, Request, Track
from cassette_http.cassette.secrets.redaction import Redactor

ORIGIN = Origin("https", "api.test", 443)
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
KNOWN = "tk_Live-0123/abc+XYZ"
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def redacted(body: bytes, *fields: str) -> bytes:
    """The content of an answer to a request with a secret."""
    sent = Request(ORIGIN, f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KNOWN}\r\n\r\n".encode())
    head = "\r\n".join(["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]).encode()
    octets = Redactor().redact(Interaction(ORIGIN, sent, Track((Piece(head + body),)))).track.octets
    head, _, content = octets.partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % len(content))
    return content


# -- texts within texts --------------------------------------------------------------------------------------

FILES = {
    "a table": "name,password,role\nada,maple-Syrup9,admin\n",
    "a table with tabs": "name\tpassword\nada\tmaple-Syrup9\n",
    "a Secret of Kubernetes": "apiVersion: v1\nkind: Secret\nstringData:\n  sunny: maple-Syrup9\n",
    "a Secret in JSON": json.dumps({"kind": "Secret", "stringData": {"sunny": "maple-Syrup9"}}),
    "a list": "a:\n  tokens:\n  - maple-Syrup9\n",
    "a block": "db:\n  password: |-\n    maple-Syrup9\n",
    "a script": 'import x\n\nclient = x.Client(api_key="maple-Syrup9", timeout=3)\n',
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_file_in_a_string_of_json_is_searched_as_a_file(file: str, is_cut_off: bool) -> None:
    body = json.dumps({"id": 7, "content": FILES[file], "ok": True})
    found = redacted(body[: -len('", "ok": true}')].encode() if is_cut_off else body.encode())
    assert b"maple-Syrup9" not in found
    if not is_cut_off:
        assert json.loads(found)["content"] == FILES[file].replace("maple-Syrup9", "{{secret:2}}")


@pytest.mark.parametrize("file", ["a script", "a Secret in JSON"])
def test_a_file_in_an_element_of_xml_is_searched_as_a_file(file: str) -> None:
    found = redacted(f"<r><id>7</id><d>{escape(FILES[file])}</d></r>".encode())
    assert b"maple-Syrup9" not in found
    assert b"{{secret:2}}" in found


def test_a_file_in_a_part_of_a_multipart_is_searched_as_a_file() -> None:
    part = '--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n{}\r\n--b--\r\nis,it,maple\r\n'
    assert redacted(part.format(FILES["a table"]).encode()).decode() == part.format(
        FILES["a table"].replace("maple-Syrup9", "{{secret:2}}")
    )


@pytest.mark.parametrize("count", [1, 40])
def test_fields_beside_an_image_are_searched(count: int) -> None:
    def upload(secret: str) -> bytes:
        head, meta = "Content-Disposition: form-data; name=", json.dumps({"client_secret": secret})
        texts = f'--b\r\n{head}"api_key"\r\n\r\n{secret}\r\n--b\r\nContent-Type: application/json\r\n\r\n{meta}\r\n'
        image = f'--b\r\n{head}"f"; filename="a.png"\r\n\r\n'.encode() + IMAGE * count
        return image + f"\r\n{texts}--b--\r\n".encode()

    assert redacted(upload("maple-Syrup9")) == upload("{{secret:2}}")


def test_a_url_that_is_percent_encoded_twice_stays_so() -> None:
    url = quote(quote("https://a.test/?token=maple-Syrup9&b=1", safe=""), safe="")
    expected = url.replace("maple-Syrup9", quote(quote("{{secret:2}}", safe=""), safe=""))
    assert redacted(f'<a href="/go?next={url}">x</a>'.encode()) == f'<a href="/go?next={expected}">x</a>'.encode()


@pytest.mark.parametrize(
    "written",
    [
        r"ab+cd/\u003cef'gh\u0026",  # by Go
        r"ab\u002Bcd/\u003Cef\u0027gh\u0026",  # by .NET
        "ab+cd/&lt;ef&apos;gh&amp;",
        "ab+cd/&lt;ef&#39;gh&amp;",
    ],
)
def test_a_known_secret_is_found_as_programs_escape_it(written: str) -> None:
    body = json.dumps({"password": "ab+cd/<ef'gh&"}) + f'\n{{"echo": "{written}"}}'
    assert redacted(body.encode()) == b'{"password": "{{secret:2}}"}\n{"echo": "{{secret:2}}"}'


# -- archives ------------------------------------------------------------------------------------------------

MEMBERS = {
    "a/settings.json": json.dumps({"password": "hunter2", "size": 3}).encode(),
    "notes.txt": f"Use {GITHUB}, or {KNOWN}.\n".encode(),
    "image.png": IMAGE,
    "other.txt": b"nothing to hide\n" * 200,
}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzipped(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def tarred(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return file.getvalue()


def untarred(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=BytesIO(archive)) as file:
        return {member.name: content.read() for member in file if (content := file.extractfile(member)) is not None}


ARCHIVES: dict[str, tuple[Callable[[dict[str, bytes]], bytes], Callable[[bytes], dict[str, bytes]]]] = {
    "zip": (zipped, unzipped),
    "zip, stored": (lambda members: zipped(members, zipfile.ZIP_STORED), unzipped),
    "tar": (tarred, untarred),
    "tar, GNU": (lambda members: tarred(members, tarfile.GNU_FORMAT), untarred),
    "tar, compressed": (
        lambda members: gzip.compress(tarred(members)),
        lambda archive: untarred(gzip.decompress(archive)),
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_members_of_an_archive_lose_their_secrets(kind: str) -> None:
    write, read = ARCHIVES[kind]
    found = read(redacted(write(MEMBERS)))
    assert found.keys() == MEMBERS.keys()
    assert (found["image.png"], found["other.txt"]) == (IMAGE, MEMBERS["other.txt"])
    assert b"hunter2" not in found["a/settings.json"]
    assert json.loads(found["a/settings.json"])["size"] == 3
    assert found["notes.txt"].count(b"{{secret:") == 2
    assert not any(secret.encode() in content for content in found.values() for secret in (GITHUB, KNOWN))


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("marker", ["x-1.dist-info/RECORD", "package/package.json", "META-INF/MANIFEST.MF"])
def test_a_package_keeps_its_octets_but_for_what_is_known(kind: str, marker: str) -> None:
    write, read = ARCHIVES[kind]
    harmless = write({**MEMBERS, "notes.txt": GITHUB.encode(), marker: b"{}"})
    assert redacted(harmless) == harmless
    found = read(redacted(write({**MEMBERS, marker: b"{}"})))
    assert found["notes.txt"] == f"Use {GITHUB}, or {{{{secret:1}}}}.\n".encode()
    assert found["a/settings.json"] == MEMBERS["a/settings.json"]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_without_secrets_or_cut_off_come_back_unchanged(kind: str) -> None:
    write, _ = ARCHIVES[kind]
    harmless = write({name: MEMBERS[name] for name in ("image.png", "other.txt")})
    for archive in (harmless, harmless[:-40], harmless[:300]):
        assert redacted(archive) == archive


def test_an_archive_that_makes_very_much_of_little_is_left_alone() -> None:
    bomb = zipped({"a.txt": b"password=hunter2\n" * 500_000})
    assert redacted(bomb) == bomb


# -- Protocol Buffers ----------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def text(number: int, value: str | bytes) -> bytes:
    octets = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(octets)) + octets


def message(look: str, known: str, value: str, in_json: str) -> bytes:
    """A message with a number, a string that is long in octets, messages in messages, and an entry of a map."""
    deep = text(1, b"\x08\x07" + text(2, f"use {look}") + text(4, json.dumps({"token": in_json})))
    entry = text(1, "password") + text(2, value)
    return b"\x08\x2a" + text(2, "é" * 100) + text(3, deep) + text(5, entry) + text(6, known) + b"\x4d\x01\x02\x03\x04"


def framed(octets: bytes) -> bytes:
    return b"\0" + len(octets).to_bytes(4, "big") + octets


@pytest.mark.parametrize(
    ("media_type", "wrapped"),
    [
        ("application/x-protobuf", lambda octets: octets),
        ("application/grpc", lambda octets: framed(octets) * 2),
        ("application/grpc-web+proto", lambda octets: framed(octets) + b"\x80\0\0\0\x0fgrpc-status: 0\n"),
    ],
)
def test_strings_of_protocol_buffers_lose_their_secrets_and_lengths_follow(
    media_type: str, wrapped: Callable[[bytes], bytes]
) -> None:
    planted = message(GITHUB, f"I know {KNOWN}", "hunter2", "correcthorse")
    hidden = message("{{secret:2}}", "I know {{secret:1}}", "{{secret:4}}", "{{secret:3}}")
    assert redacted(wrapped(planted), f"Content-Type: {media_type}") == wrapped(hidden)
    harmless = message("no key", "I know nothing", "", "")
    assert redacted(wrapped(harmless), f"Content-Type: {media_type}") == wrapped(harmless)


LATER = "73c349c93c163b5d4df98a64fac1c430"
"""What stands without a name in front of the member that tells that it is a secret."""


def packed_string(value: str) -> bytes:
    octets = value.encode()
    return b"\xd9" + bytes([len(octets)]) + octets if len(octets) >= 32 else bytes([0xA0 | len(octets)]) + octets


@pytest.mark.parametrize(
    ("media_type", "written"),
    [
        ("application/x-protobuf", lambda value: text(2, value) + text(3, json.dumps({"token": value}))),
        (
            "application/msgpack",
            lambda value: b"\x82\xa1a" + packed_string(value) + b"\xa5token" + packed_string(value),
        ),
    ],
)
def test_lengths_follow_in_front_of_what_tells_that_a_string_is_secret(
    media_type: str, written: Callable[[str], bytes]
) -> None:
    assert redacted(written(LATER), f"Content-Type: {media_type}") == written("{{secret:2}}")


def test_a_protocol_buffer_is_matched_whatever_the_numbers_of_its_placeholders() -> None:
    def asked(value: str) -> Request:
        body = text(2, value) + text(3, json.dumps([{"key": value}]))
        head = b"POST / HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(body)
        return Request(ORIGIN, head, body)

    forms = {Redactor().redact_request(asked(each)).body_octets for each in (LATER, "{{secret:1}}", "{{secret:117}}")}
    assert len(forms) == 1


@pytest.mark.parametrize(
    "media_type", ["application/grpc-web+json", "application/x-protobuf", "application/msgpack", "application/cbor"]
)
def test_json_of_another_type_is_searched_as_json(media_type: str) -> None:
    planted = ' {"naïve": "ü", "password": "hunter2"}'.encode()
    assert redacted(planted, f"Content-Type: {media_type}") == planted.replace(b"hunter2", b"{{secret:2}}")


@pytest.mark.parametrize(
    ("media_type", "before"),
    [
        pytest.param("application/msgpack", b"\x81\xa5token\xd9\xff", id="MessagePack, text"),
        pytest.param("application/msgpack", b"\x81\xa5token\xc5\x01\x00", id="MessagePack, octets"),
        pytest.param("application/cbor", b"\xa1\x65token\x78\xff", id="CBOR, text"),
        pytest.param("application/grpc", framed(text(1, "a")) + b"\0\0\0\x01\0\x0a\xfe\x01", id="gRPC"),
    ],
)
def test_a_string_whose_end_is_missing_is_searched(media_type: str, before: bytes) -> None:
    assert redacted(before + GITHUB.encode(), f"Content-Type: {media_type}") == before + b"{{secret:2}}"


@pytest.mark.parametrize(
    ("media_type", "written"),
    [
        pytest.param("application/msgpack", lambda octets: b"\xc4" + bytes([len(octets)]) + octets, id="MessagePack"),
        pytest.param("application/cbor", lambda octets: bytes([0x40 | len(octets)]) + octets, id="CBOR"),
    ],
)
def test_strings_of_octets_stay_strings_of_octets(media_type: str, written: Callable[[bytes], bytes]) -> None:
    name = {"application/msgpack": b"\x81\xa5token", "application/cbor": b"\xa1\x65token"}[media_type]
    assert redacted(name + written(b"hunter2"), f"Content-Type: {media_type}") == name + written(b"{{secret:2}}")


def test_the_length_of_a_long_string_of_protocol_buffers_follows() -> None:
    def written(secret: str) -> bytes:
        return text(1, text(3, "word " * 60 + secret) + text(4, "z" * 200))

    planted, hidden = written(GITHUB), written("{{secret:2}}")
    assert redacted(planted, "Content-Type: application/x-protobuf") == hidden
