"""Certificate authorities are loaded only when something depends on them: a replay verifies no peer.

OpenSSL takes about 20 ms for a bundle of them, and many programs load one for each client or connection. While a
cassette may answer, a bundle that this process has loaded before is only noted. It is loaded, with its content of that
time, for a live handshake, or when the program asks what is trusted, during or after the cassette. Anything that was
not loaded successfully before is loaded at once, so errors are raised in the same place as without us.

Until it is loaded, the context has a class of its own. Hooks would not do, as it may outlive the cassette.
"""

from __future__ import annotations

import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cassette_http.cassette.files import READ, Files
from cassette_http.intercept.current import current_board
from cassette_http.intercept.patches import Patches
from cassette_http.system import os

PATCHES = Patches()

# Python's own class: truststore and gevent replace it.
_Plain: Any = next((each for each in ssl.SSLContext.__mro__ if each.__module__ == "ssl"), ssl.SSLContext)
_load: Callable[..., None] = _Plain.load_verify_locations
_load_defaults: Callable[[ssl.SSLContext], None] = _Plain.set_default_verify_paths

# OpenSSL loads a smaller file as fast as we read it (one certificate: 0.15 ms for 2 KB).
SMALLEST_OCTETS = 16 << 10
LARGEST_OCTETS = 16 << 20
MOST_BUNDLES = 8

_files = Files()
_defaults = ssl.get_default_verify_paths()


@dataclass(frozen=True)
class _Bundle:
    """A file of certificates, with its content at the time when a context was told to trust it.

    If `folder` is given, this is OpenSSL's default bundle, and `folder` its default directory, which is searched only
    when a peer is verified.
    """

    path: str
    octets: bytes
    folder: str | None = None

    def load(self, context: ssl.SSLContext) -> None:
        if _octets_of(self.path) == self.octets and self.folder in (None, _default_folder()):
            if self.folder is None:
                _load(context, self.path)
            else:
                _load_defaults(context)
            return
        import tempfile  # late, as the file has hardly ever changed

        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "certificates.pem")
            copy.write_bytes(self.octets)
            _load(context, copy, self.folder)


_lock = threading.RLock()  # reentrant: the garbage collector may run in between, and close a connection
_loaded: dict[tuple[str, bool], bytes] = {}  # by path, and whether it is a default, whose errors are ignored
_noted = "_cassette_http_noted"  # the attribute with the bundles of a context
_are_left_unread = ContextVar("cassette_http_left_unread", default=False)


class _Unread(_Plain):  # type: ignore[misc]  # a class that is found at run time
    """A context whose bundles are only noted. Everything that depends on them is overridden here."""

    __slots__ = ()

    def _wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        read_authorities(self)
        return _Plain._wrap_socket(self, *args, **kwargs)

    def _wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        if not _are_left_unread.get():
            read_authorities(self)
        return _Plain._wrap_bio(self, *args, **kwargs)

    def get_ca_certs(self, *args: Any, **kwargs: Any) -> Any:
        read_authorities(self)
        return _Plain.get_ca_certs(self, *args, **kwargs)

    def cert_store_stats(self) -> Any:
        read_authorities(self)
        return _Plain.cert_store_stats(self)


_Unread.__module__, _Unread.__name__, _Unread.__qualname__ = _Plain.__module__, _Plain.__name__, _Plain.__qualname__


def read_authorities(context: ssl.SSLContext) -> None:
    """Load the bundles that were only noted, as something is about to depend on them."""
    if type(context) is not _Unread:
        return
    with _lock:  # a second caller waits until they are loaded
        if type(context) is _Unread:
            for bundle in context.__dict__[_noted]:
                bundle.load(context)
            context.__class__ = _Plain
            context.__dict__.pop(_noted, None)


@contextmanager
def left_unread() -> Iterator[None]:
    """Make TLS objects without loading the bundles: the caller uses `read_authorities` before a handshake."""
    token = _are_left_unread.set(True)
    try:
        yield
    finally:
        _are_left_unread.reset(token)


@PATCHES.hook(_Plain, "load_verify_locations")
def _noting_load_verify_locations(
    self: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None, *, original: Any
) -> None:
    if isinstance(cafile, str | bytes | os.PathLike) and capath is None and cadata is None and _may_wait(self):
        _load_or_note(self, os.fsdecode(cafile), None, lambda: original(self, cafile))
    else:
        original(self, cafile, capath, cadata)


@PATCHES.hook(_Plain, "set_default_verify_paths")
def _noting_set_default_verify_paths(self: ssl.SSLContext, *, original: Any) -> None:
    if _may_wait(self):
        path = os.environ.get(_defaults.openssl_cafile_env, _defaults.openssl_cafile)
        _load_or_note(self, path, _default_folder(), lambda: original(self))
    else:
        original(self)


def _may_wait(context: ssl.SSLContext) -> bool:
    """Tell whether it is possible that nothing ever depends on what `context` trusts.

    Only connections of clients are played. A subclass of Python's class may ask in other ways what is trusted.
    """
    board = current_board()
    return (
        board is not None
        and board.policy.can_play
        and type(context) in (_Plain, _Unread)
        and context.protocol is ssl.PROTOCOL_TLS_CLIENT
    )


def _load_or_note(context: ssl.SSLContext, path: str, folder: str | None, load: Callable[[], None]) -> None:
    octets = _octets_of(path)
    if octets is None:
        load()
        return
    key = path, folder is not None
    known = _loaded.get(key)
    if known != octets:
        load()
        with _lock:
            _loaded[key] = octets
            if len(_loaded) > MOST_BUNDLES:
                del _loaded[next(iter(_loaded))]
        return
    with _lock:
        context.__dict__.setdefault(_noted, []).append(_Bundle(path, known, folder))
        context.__class__ = _Unread


def _octets_of(path: str) -> bytes | None:
    """The content of a file that is worth noting: a bundle, at a path that does not depend on the current folder."""
    if not os.path.isabs(path):
        return None
    try:
        fd = _files.open(path, READ)
    except (OSError, ValueError):
        return None
    try:
        status = _files.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not SMALLEST_OCTETS <= status.st_size <= LARGEST_OCTETS:
            return None
        return _files.read_all(fd, status.st_size)
    except OSError:
        return None
    finally:
        _files.close(fd)


def _default_folder() -> str:
    return os.environ.get(_defaults.openssl_capath_env, _defaults.openssl_capath)


if hasattr(os, "register_at_fork"):  # a child must not begin with a context that is only partly loaded
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
