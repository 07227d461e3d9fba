"""Secrets in the members of archives, zip and tar (pure).

A member with a secret is written again, with its new sizes and checksums; the others keep their content. Packages of
programming languages are verified by their digests when they are installed, and are public: in them, only secrets that
are known from elsewhere are replaced.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from copy import copy
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

Hide: TypeAlias = Callable[[bytes, bool], bytes]
"""Takes the content of a member, and whether it belongs to a package; returns it without secrets."""

_ZIP, _TAR, _TAR_AT = b"PK\x03\x04", b"ustar", 257
(_NUL,) = b"\0"  # as a number, which is found much faster
_MOST_MEMBERS = 10_000
_MOST_OCTETS, _MOST_TIMES = 4 << 20, 8  # the larger limit counts: a few octets may expand to very many
_OF_A_PACKAGE = re.compile(
    r"(?:^|/)(?:[^/]+\.dist-info/RECORD|PKG-INFO|package\.json|META-INF/MANIFEST\.MF|[^/]+\.nuspec|Cargo\.toml|go\.mod"
    r"|metadata\.gz)$"
)


def is_archive(octets: bytes) -> bool:
    return octets.startswith(_ZIP) or octets.startswith(_TAR, _TAR_AT)


def has_archive(message: bytes) -> bool:
    """Tell whether there may be an archive in the content of a message; cheap."""
    return _NUL in message and (message.find(_ZIP) >= 0 or message.find(_TAR) >= 0)


def rewritten_archive(octets: bytes, hide: Hide) -> bytes:
    """Write an archive without the secrets in its members; unchanged if there are none, or it is unreadable."""
    return _rewritten_zip(octets, hide) if octets.startswith(_ZIP) else _rewritten_tar(octets, hide)


def _rewritten_zip(octets: bytes, hide: Hide) -> bytes:
    from zipfile import BadZipFile, ZipFile  # late: few cassettes need it, and it imports a lot

    try:
        with ZipFile(BytesIO(octets)) as old:
            members = old.infolist()
            most = max(_MOST_OCTETS, _MOST_TIMES * len(octets))
            if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > most:
                return octets
            contents = [_content(old, member) for member in members]
            comment = old.comment
    except (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zlib.error):
        return octets  # broken, cut off or encrypted
    is_package = any(_OF_A_PACKAGE.search(member.filename) for member in members)
    new = [content and hide(content, is_package) for content in contents]
    if new == contents:
        return octets
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        archive.comment = comment
        for member, content in zip(members, new, strict=True):
            archive.writestr(copy(member), content)
    return written.getvalue()


def _content(archive: ZipFile, member: ZipInfo) -> bytes:
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise NotImplementedError
    with archive.open(member) as file:
        return file.read(member.file_size)


# -- tar (POSIX.1-1988 and its successors): headers of 512 octets, contents padded to multiples of that --------------

_BLOCK = 512
_SIZE, _CHECKSUM = slice(124, 136), slice(148, 156)
_FILES = frozenset(b"0\0")


def _rewritten_tar(octets: bytes, hide: Hide) -> bytes:
    members = list(_tar_members(octets))
    names = [octets[start : start + 100].rstrip(b"\0").decode("latin-1") for start, _, _ in members]
    is_package = any(map(_OF_A_PACKAGE.search, names))
    parts: list[bytes] = []
    at = 0
    for start, content, stop in members[:_MOST_MEMBERS]:
        old = octets[content:stop]
        new = hide(old, is_package) if octets[start + 156] in _FILES and old else old
        if new != old:
            parts += [octets[at:start], _header(octets[start:content], len(new)), new, bytes(-len(new) % _BLOCK)]
            at = stop + -len(old) % _BLOCK
    return b"".join([*parts, octets[at:]]) if parts else octets


def _tar_members(octets: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each complete member starts, and where its content starts and stops."""
    start = 0
    while octets.startswith(_TAR, start + _TAR_AT):
        digits = octets[start : start + _BLOCK][_SIZE].strip(b" \0")
        content = start + _BLOCK
        if not re.fullmatch(rb"[0-7]{1,11}", digits) or content + int(digits, 8) > len(octets):
            return  # larger than eight GiB, or broken
        stop = content + int(digits, 8)
        yield start, content, stop
        start = stop + -(stop - content) % _BLOCK


def _header(header: bytes, size: int) -> bytes:
    new = bytearray(header)
    new[_SIZE] = b"%011o\0" % size
    new[_CHECKSUM] = b" " * 8
    new[_CHECKSUM] = b"%06o\0 " % sum(new)
    return bytes(new)
