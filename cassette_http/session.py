"""`use_cassette`: opens a cassette, puts it under the transports, and closes it. It connects all rooms."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from cassette_http.around import around
from cassette_http.board import Board
from cassette_http.cassette.explaining import MODE_SETTING
from cassette_http.cassette.format.yaml_format import Documents, looks_foreign, scan, whole_file
from cassette_http.cassette.hooks import Hooks, InteractionHook, RequestHook
from cassette_http.cassette.index import Index
from cassette_http.cassette.late_redactor import LateRedactor
from cassette_http.cassette.library import Library
from cassette_http.cassette.matching import DEFAULT_MATCH, Matching, resolve
from cassette_http.cassette.model import Header, Request
from cassette_http.cassette.modes import RecordMode, is_build_server, known_pace, known_policy, policy
from cassette_http.cassette.rule_notation import no_option
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteExpired, CassetteFormatError, CassetteWarning, InvalidOption, UnmatchedRequest
from cassette_http.expiry import HOW_TO_RENEW, expiry_of, known_age
from cassette_http.in_use import Cassette, Log, Miss
from cassette_http.intercept import intercepting
from cassette_http.loading import Loaded, Loader, time_of_recording
from cassette_http.system import load_before_pyfakefs
from cassette_http.transport import base
from cassette_http.transport.socket_face import CassetteTransport
from cassette_http.version import __version__
from cassette_http.wording import number_of

if TYPE_CHECKING:
    from cassette_http.cassette.secrets.rules import ExtraRule
    from cassette_http.frozen_time import FrozenTime

USUAL_MATCHING = resolve(DEFAULT_MATCH)

P = ParamSpec("P")
R = TypeVar("R")


class use_cassette:  # a statement in user code, as in `with use_cassette(...)`
    """Record what happens on the wire into the cassette at `path`, or replay it from there.

    A context manager that returns the `Cassette`, and a decorator for functions, async functions and generators (each
    call then opens the cassette again).

    - `record_mode`: "none", "once", "new_episodes", "all" or "rewrite" (docs/record-modes.md); the default is "once",
      or "none" if the environment has CI=true.
    - `match`: what must be equal for an interaction to answer a request: names of matchers or functions
      (docs/matching.md).
    - `ignore`: what to leave out of the comparison, such as "query:page", "form:nonce", "header:Date" or "$.meta.id"
      (docs/matching.md).
    - `repeat`: what a request gets once all its interactions have been played: "fail", "last" or "cycle"; with "first",
      every request gets the first interaction that answers it.
    - `pace`: "fast", or "recorded" to play responses at the pace at which they were recorded.
    - `redact` adds rules for secrets, `keep` turns rules off by name, `secrets` names values that are restored in
      replay (docs/redaction.md).
    - `on_record`, `on_match` and `on_replay` are functions that see, change or drop interactions and requests
      (docs/hooks.md).
    - `only_on_success` records into a file beside the cassette, which takes its place only if the block ends well;
      `rewrite` always does so. `keep_volatile` lets a rewrite keep the old form of what has not changed but
      for dates, request ids and their like, down to the same file (docs/updating.md); with `keep_unrecorded` it does
      not drop interactions that were not recorded anew, as those of other tests; a function is asked for that when the
      block has ended well, while no other process can end one with the same file.
    - `max_age`, such as "12h", "30d", "4w" or a `timedelta`: to play a cassette that was recorded longer ago gives the
      warning CassetteExpired (docs/updating.md).
    - `freeze_time` sets the clock to the moment of recording while a cassette is only played; it needs `time-machine`.
    - `also` names further cassettes that are searched when this one has no answer; they are only read.
    - `decode(octets, path)` turns a file that is in a format of your own into a cassette of a known recorder
      (docs/migrating.md).
    - `test` is the name of a test, which is stored in the cassette.
    - `allow_missing` makes record mode "none" treat a missing file as an empty cassette.
    - `mode_setting` is for front ends: how messages tell users to set a record mode, with "{}" for the mode.
    - `blob_threshold`: bodies with more octets are stored in files of their own, in `blobs` beside the cassette; None
      means those of more than 4 MiB.
    - `everywhere` takes over from all open blocks, even in contexts that were copied earlier (such as that of an event
      loop that a test runner keeps); the default is this context, and threads without a cassette of their own.

    Raises InvalidOption for an invalid option; on entering, CassetteNotFound (record mode "none") and
    CassetteFormatError; on leaving, CassetteNotWritable, the error of a hook, and UnmatchedRequest if a request was
    refused but the block ended well (the program swallowed the error).
    """

    def __new__(cls, *_: Any, **options: Any) -> Self:
        known = use_cassette.__init__.__kwdefaults__ or {}
        unknown = options.keys() - known.keys() - {"path", "record_mode"}
        if unknown and cls.__init__ is use_cassette.__init__:  # a subclass may have options of its own
            raise InvalidOption(no_option("use_cassette", min(unknown), ["record_mode", *known]))
        return super().__new__(cls)

    def __init__(
        self,
        path: str | os.PathLike[str],
        record_mode: str | RecordMode | None = None,
        *,
        match: str | Callable[..., Any] | Iterable[str | Callable[..., Any]] = DEFAULT_MATCH,
        ignore: str | Iterable[str] = (),
        repeat: str = "fail",
        pace: str = "fast",
        redact: ExtraRule | Iterable[ExtraRule] = (),
        keep: str | Iterable[str] = (),
        secrets: Mapping[str, str | bytes] | None = None,
        on_record: InteractionHook | Iterable[InteractionHook] | None = None,
        on_match: RequestHook | Iterable[RequestHook] | None = None,
        on_replay: InteractionHook | Iterable[InteractionHook] | None = None,
        only_on_success: bool = False,
        keep_volatile: bool = False,
        keep_unrecorded: bool | Callable[[], bool] = False,
        max_age: str | timedelta | None = None,
        freeze_time: bool = False,
        also: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        decode: Callable[[bytes, str], bytes] | None = None,
        test: str | None = None,
        allow_missing: bool = False,
        mode_setting: str = MODE_SETTING,
        everywhere: bool = False,
        blob_threshold: int | None = 1 << 20,
    ) -> None:
        load_before_pyfakefs()
        mode = _default_mode() if record_mode is None else RecordMode.of(record_mode)
        # A wrong option is reported here, where the user wrote it.
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise InvalidOption(
                f'use_cassette takes the path of a cassette, as in use_cassette("cassettes/users.yaml"), not {path!r}'
            )
        if secrets is not None and not isinstance(secrets, Mapping):
            raise InvalidOption('secrets= takes names and values, as in secrets={"account": "1234-5678"}')
        if not isinstance(blob_threshold, int | None):
            raise InvalidOption(f"blob_threshold= takes a number of octets, not {blob_threshold!r}")
        redaction: dict[str, Any] = {
            "redact": _several(redact),
            "keep": _several(keep),
            "secrets": dict(secrets or {}),
        }
        if any(redaction.values()):
            LateRedactor(**redaction).make()  # checks them
        if freeze_time:
            from cassette_http.frozen_time import require_time_machine  # late: few sessions need it

            require_time_machine()
        self._options = _Options(
            path=path if isinstance(path, Path) else Path(path),  # a Path may have cached its text
            mode=mode,
            matching=resolve(_several(match), _several(ignore)) if match != DEFAULT_MATCH or ignore else USUAL_MATCHING,
            repeat=known_policy(repeat),
            keeps_pace=known_pace(pace) == "recorded",
            redaction=redaction,
            hooks=Hooks.of(on_record, on_match, on_replay),
            only_on_success=only_on_success,
            keeps_volatile=keep_volatile,
            keeps_unrecorded=keep_unrecorded,
            max_age_s=known_age(max_age),
            freezes_time=freeze_time,
            also=tuple(map(Path, _several(also))),
            decode=decode,
            test=test,
            allow_missing=allow_missing,
            mode_setting=mode_setting,
            everywhere=everywhere,
            blob_threshold=blob_threshold,
        )
        self._open: list[_Session] = []

    def __enter__(self) -> Cassette:
        session = _Session(self._options)
        self._open.append(session)
        return session.board.cassette

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Blocks of one object may overlap in several tasks or threads: each leaves its own session.
        session = next((one for one in reversed(self._open) if base.was_put_here(one.transport)), self._open[-1])
        self._open.remove(session)
        session.close(error)

    def paused(self) -> AbstractContextManager[None]:
        """Take the cassette out of use during the block; what was in use before it is used again."""
        return base.set_aside(self._open[-1].transport)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(cls, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        return around(lambda: self, function, lambda cassette, args: args)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The checked options of `use_cassette`."""

    path: Path
    mode: RecordMode
    matching: Matching
    repeat: str
    keeps_pace: bool
    redaction: dict[str, Any]
    hooks: Hooks
    only_on_success: bool
    keeps_volatile: bool
    keeps_unrecorded: bool | Callable[[], bool]
    max_age_s: float | None
    freezes_time: bool
    also: tuple[Path, ...]
    decode: Callable[[bytes, str], bytes] | None
    test: str | None
    allow_missing: bool
    mode_setting: str
    everywhere: bool
    blob_threshold: int | None


def _several(given: Any) -> tuple[Any, ...]:
    """The values of an option that takes one value or several."""
    if type(given) is tuple:  # like all defaults
        return given
    return (given,) if isinstance(given, str | os.PathLike | re.Pattern) or callable(given) else tuple(given)


def _default_mode() -> RecordMode:
    """`once`; but a CI server records nothing unless asked to: a missing cassette is an error there."""
    return RecordMode.NONE if is_build_server(os.environ) else RecordMode.ONCE


class _Session:
    """One `use_cassette` block, from opening to closing."""

    def __init__(self, options: _Options) -> None:
        path, mode = options.path, options.mode
        is_aside = mode is RecordMode.REWRITE or (options.only_on_success and mode is not RecordMode.NONE)
        self._options = options
        self._store = Store(
            path,
            header=new_header(options.test) if mode is not RecordMode.NONE else None,
            rewrite=is_aside,
            settle=self._settlement() if is_aside else None,
            only_adds=mode is not RecordMode.REWRITE,
            blob_threshold=options.blob_threshold,
        )
        self._loader = Loader(options.decode, options.hooks)
        loaded = self._loader.load(self._store, mode, allow_missing=options.allow_missing)
        first = next(loaded.parts, Documents(b"", [], []))
        library = self._library(loaded._replace(parts=chain([first], loaded.parts)))
        had_content = len(library) > 0
        may = policy(mode, had_content)
        used = first.data if may.can_record else b""
        redactor = LateRedactor(used, environment=os.environ, netrc=netrc_text, **options.redaction)
        self._redactor = redactor
        if may.can_record and not (may.can_play and had_content):
            redactor.make()  # or the first answer would have to wait for it
        if loaded.is_foreign:
            self._store.adopt(lambda data: self._converted(self._loader.decoded(data, path)), not self._store.exists())
        matching = options.matching
        index = Index(
            library, matching, options.repeat, lambda request: matching.strip(redactor.made.redact_request(request))
        )
        if may.can_play and (expiry := expiry_of(first, str(path), options.max_age_s)) is not None:
            warnings.warn(f"{path} {expiry}; {HOW_TO_RENEW}", CassetteExpired, stacklevel=3)
        time = time_of_recording(first, str(path)) if options.freezes_time and not may.can_record else None
        hooks = options.hooks
        if time is not None:
            hooks = replace(hooks, on_replay=(time.advance, *hooks.on_replay))
        log = Log()
        self.board = Board(
            Cassette(path, mode, index, log),
            log,
            index,
            self._store,
            redactor,
            hooks,
            may=may,
            keeps_pace=options.keeps_pace,
            mode_setting=options.mode_setting,
        )
        self.transport = CassetteTransport(self.board)
        self._put_into_use(time)

    def _library(self, loaded: Loaded) -> Library:
        """What may answer: the documents of the cassette, then those of the others in `also`."""
        library = Library()
        library.add(loaded.parts, str(self._options.path), loaded.fetch)
        for other in map(Store, self._options.also):
            found = self._loader.load(other, RecordMode.NONE)
            library.add(found.parts, str(other.path), found.fetch)
        return library

    def _put_into_use(self, time: FrozenTime | None) -> None:
        # Left in this order: the slot, then the connections, and only then the hooks, so that nothing bypasses them.
        self._slots = ExitStack()
        if time is not None:
            self._slots.enter_context(time.running())
        self._slots.enter_context(intercepting())
        self._slots.callback(self.board.leave)
        self._slots.enter_context(base.fill(self.transport, is_for_everyone=self._options.everywhere))

    def _converted(self, data: bytes) -> list[bytes]:
        """The documents of a cassette of another recorder, without secrets; the file then has our format."""
        options = self._options
        return self._loader.converted(data, self._redactor.made, self._store, new_header(options.test))

    def _settlement(self) -> Callable[[bytes, bytes], bytes] | None:
        """The function that merges the old file and the side file; None if the side file replaces the old one."""
        from cassette_http.cassette import settling  # late: few sessions need it

        options, path = self._options, str(self._options.path)

        def in_our_format(old: bytes) -> bytes:
            decoded = self._loader.decoded(old, options.path)
            return whole_file(self._converted(decoded)) if looks_foreign(decoded) else old

        if options.mode is not RecordMode.REWRITE:
            return lambda old, new: settling.appended(in_our_format(old), new, path)
        if not (options.keeps_volatile or options.keeps_unrecorded):
            return None

        def answers(sent: Request, recorded: Request) -> bool:
            asked, there = (options.matching.strip(self._redactor.made.redact_request(one)) for one in (sent, recorded))
            return options.matching.key(asked) == options.matching.key(there) and options.matching.accepts(asked, there)

        def settled(old: bytes, new: bytes) -> bytes:
            keeps = options.keeps_unrecorded
            before = in_our_format(old)
            return settling.settled(
                before,
                new,
                path,
                answers=answers,
                keeps_volatile=options.keeps_volatile and not self._is_expired(before),
                keeps_unrecorded=keeps() if callable(keeps) else keeps,
                is_one_moment=options.freezes_time,
                fetch=self._store.blobs.fetch,
            )

        return settled

    def _is_expired(self, data: bytes) -> bool:
        """Tell whether an old cassette is too old; then all of it is renewed."""
        path, max_age_s = str(self._options.path), self._options.max_age_s
        with suppress(CassetteFormatError):  # of a file that is replaced as a whole
            return max_age_s is not None and expiry_of(scan(data, path), path, max_age_s) is not None
        return False

    def close(self, error: BaseException | None) -> None:
        """Leave the transports, then the file. Raises errors that went unnoticed, unless `error` is being raised."""
        self._slots.close()
        self.board.arrange()
        if isinstance(error, GeneratorExit):
            error = None  # a decorated generator was closed early: that is not an error
        if error is None and self.board.write_error is None:
            if self.board.policy.can_record and not self._options.allow_missing and not self._store.exists():
                self._store.append()  # even an empty recording is one: it can be replayed
            self._store.commit()
        else:
            self._store.discard()
        misses = self.board.cassette.misses
        if error is not None:
            if misses:
                _note_refusal(error, misses[-1])
            return
        unnoticed = self.board.unnoticed_error or self.board.write_error
        if unnoticed is not None:
            raise unnoticed
        if misses:
            swallowed = f"refused at {misses[0].where}, where the error was swallowed"
            if others := len(misses) - 1:
                swallowed += f"; {others} more {number_of('request', others)} {number_of('was', others)} refused"
            expected = "if that is expected, empty the list of them: cassette.misses.clear()"
            raise UnmatchedRequest(f"{misses[0].message}\n  ({swallowed})\n  {expected}")
        for what in self.board.not_recorded:
            warnings.warn(f"{self._store.path}: {what}; a replay will refuse it", CassetteWarning, stacklevel=3)


def netrc_text() -> str:
    """The text of the user's netrc file, whose passwords are secrets from the start."""
    try:
        return Path(os.environ.get("NETRC", "~/.netrc")).expanduser().read_text(errors="replace")
    except (OSError, RuntimeError):  # there is no such file, or no home
        return ""


def new_header(test: str | None) -> Header:
    """The header of a cassette that begins now."""
    import platform  # late: replays need no header

    by = f"cassette-http {__version__}, {platform.python_implementation()} {platform.python_version()}, {sys.platform}"
    if test:
        from cassette_http.cassette.secrets.shapes import without_tokens  # late: replays need no header

        test = without_tokens(test, "{{secret}}")
    return Header(recorded=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), by=by, test=test)


def _note_refusal(error: BaseException, miss: Miss) -> None:
    """Note a refusal on the error that ends the block, unless a reader sees it there already.

    On event loops, httpx makes a ReadError without a text of it, and without a cause that has one.
    """
    causes: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in causes:
        if miss.message in str(each):
            return
        causes.append(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    error.add_note(f"UnmatchedRequest: {miss.message}\n  (refused at {miss.where})")
