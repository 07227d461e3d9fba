"""`use_cassette`: opens a cassette, puts it under the transports, and closes it. Here the rooms meet."""

from __future__ import annotations

import functools
import inspect
import os
import platform
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cassette_http.cassette import yaml_format
from cassette_http.cassette.index import Entry, Index, known_policy
from cassette_http.cassette.matching import DEFAULT_MATCH, Matching, explain_miss, resolve
from cassette_http.cassette.model import Failure, FailureKind, Header, Interaction, Origin, Request, TLSFacts, Track
from cassette_http.cassette.modes import Policy, RecordMode, policy
from cassette_http.cassette.redaction import Redactor, next_number
from cassette_http.cassette.redaction_rules import ExtraRule
from cassette_http.cassette.store import Store
from cassette_http.errors import CassetteFormatError, CassetteNotFound, InvalidOption, UnmatchedRequest
from cassette_http.intercept import intercepting
from cassette_http.transport import base
from cassette_http.transport.channel import Channel
from cassette_http.transport.socket_face import CassetteTransport, clock
from cassette_http.version import __version__

__all__ = ["Cassette", "Miss", "use_cassette"]

PACES = ("fast", "recorded")

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Miss:
    """A request that was refused. `where` is the line of the user's code that led to it, as "file:line"."""

    request: Request
    message: str
    where: str


class Cassette:
    """The cassette in use: what it holds, what was played and recorded, and what was missing.

    Made by `use_cassette`; `misses` may be cleared by a test that expects a refusal.
    """

    def __init__(self, path: Path, record_mode: RecordMode, index: Index) -> None:
        self.path, self.record_mode = path, record_mode
        self.misses: list[Miss] = []
        self.recorded: list[Interaction] = []
        self._index = index

    def __repr__(self) -> str:
        return (
            f"<Cassette {str(self.path)!r} {self.record_mode.value}: {len(self._index)} loaded, "
            f"{self.play_count} played, {len(self.recorded)} recorded, {len(self.misses)} missed>"
        )

    def __len__(self) -> int:
        return len(self._index) + len(self.recorded)

    @property
    def interactions(self) -> list[Interaction]:
        """All interactions: those the file had when it was opened, then those recorded since."""
        return [entry.interaction for entry in self._index.entries] + self.recorded

    @property
    def played(self) -> list[Interaction]:
        """The loaded interactions that answered at least one request."""
        return [entry.interaction for entry in self._index.made if entry.plays]

    @property
    def unplayed(self) -> list[Interaction]:
        """The loaded interactions that answered none."""
        return [entry.interaction for entry in self._index.entries if not entry.plays]

    @property
    def play_count(self) -> int:
        """How many requests were answered from the cassette."""
        return sum(entry.plays for entry in self._index.made)


class use_cassette:  # a statement in user code, as in `with use_cassette(...)`
    """Record what happens on the wire into the cassette at `path`, or replay it from there.

    A context manager that gives the `Cassette`, and a decorator for functions, async functions and generators (each
    call then opens the cassette anew).

    - `record_mode`: "none", "once", "new_episodes", "all" or "rewrite" (docs/record-modes.md); the default is "once",
      and "none" where the environment says CI=true.
    - `match`: what must be equal for an interaction to answer a request: names (docs/matching.md) or functions of one.
    - `repeat`: what a request gets whose interactions were all played: "fail", "last" or "cycle".
    - `pace`: "fast" or "recorded"; then played pieces come when they came on the day of recording.
    - `redact` adds rules for secrets, `keep` turns rules off by name, `secrets` names values that are restored in
      replay (docs/redaction.md).
    - `test` is kept in the cassette's head.
    - `allow_missing` makes record mode "none" take a missing file for an empty cassette.

    Raises InvalidOption for an option that does not exist; on entering CassetteNotFound (record mode "none") and
    CassetteFormatError; on leaving CassetteNotWritable if something could not be written, and UnmatchedRequest if a
    request was refused although the block ended well (the program swallowed the error).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        record_mode: str | RecordMode | None = None,
        *,
        match: Iterable[str | Callable[..., Any]] = DEFAULT_MATCH,
        repeat: str = "fail",
        pace: str = "fast",
        redact: Iterable[ExtraRule] = (),
        keep: Iterable[str] = (),
        secrets: Mapping[str, str | bytes] | None = None,
        test: str | None = None,
        allow_missing: bool = False,
    ) -> None:
        mode = _default_mode() if record_mode is None else RecordMode.of(record_mode)
        names = (match,) if isinstance(match, str) else tuple(match)
        # A wrong option is reported here, where the user wrote it.
        if pace not in PACES:
            raise InvalidOption(f"there is no pace {pace!r} (the paces are: {', '.join(PACES)})")
        redaction: dict[str, Any] = {"redact": tuple(redact), "keep": tuple(keep), "secrets": dict(secrets or {})}
        Redactor(**redaction)
        self._options = _Options(
            Path(path), mode, resolve(names), known_policy(repeat), pace == "recorded", redaction, test, allow_missing
        )
        self._open: list[_Session] = []

    def __enter__(self) -> Cassette:
        session = _Session(self._options)
        self._open.append(session)
        return session.board.cassette

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Blocks of one object may overlap in several tasks or threads: each leaves the session that is its own.
        here = base.current_here()
        session = next((one for one in reversed(self._open) if one.transport is here), self._open[-1])
        self._open.remove(session)
        session.close(error)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(cls, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        wrapper: Any
        if inspect.isasyncgenfunction(function):

            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    async for item in function(*args, **kwargs):
                        yield item

        elif inspect.iscoroutinefunction(function):

            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return (yield from function(*args, **kwargs))

        else:

            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return function(*args, **kwargs)

        wrapped: Callable[P, R] = functools.wraps(function)(wrapper)
        return wrapped


@dataclass(frozen=True)
class _Options:
    """The options of `use_cassette`, checked."""

    path: Path
    mode: RecordMode
    matching: Matching
    repeat: str
    keeps_pace: bool
    redaction: dict[str, Any]
    test: str | None
    allow_missing: bool


def _default_mode() -> RecordMode:
    """`once`; but a CI server records nothing that was not asked for: a missing cassette is an error there."""
    return RecordMode.NONE if os.environ.get("CI", "").lower() in ("true", "1") else RecordMode.ONCE


class _Session:
    """One `use_cassette` block, from opening to closing."""

    def __init__(self, options: _Options) -> None:
        path, mode = options.path, options.mode
        store = Store(path, header=_header(options.test), rewrite=mode is RecordMode.REWRITE)
        documents = _load(store, mode, options.allow_missing)
        interactions, facts = _sort(documents, str(path))
        may = policy(mode, had_content=bool(interactions))
        first = next_number(documents[0].data) if documents and may.can_record else 1
        redactor = Redactor(first, environment=os.environ, netrc=_netrc(), **options.redaction)
        index = Index(
            [document.request_line for document in interactions],
            lambda position: _parse(interactions[position], str(path)),
            options.matching,
            options.repeat,
            redactor.redact_request,
        )
        self.board = Board(Cassette(path, mode, index), may, index, store, options, redactor, facts)
        self.transport = CassetteTransport(self.board)
        self._store, self._options = store, options
        # Left in this order: the slot, then the connections, and only then the hooks, so that nothing gets past.
        self._slots = ExitStack()
        self._slots.enter_context(intercepting())
        self._slots.callback(self.board.leave)
        self._slots.enter_context(base.fill(self.transport))

    def close(self, error: BaseException | None) -> None:
        """Leave the transports, then the file. Raises what went unnoticed, unless `error` is under way already."""
        self._slots.close()
        self.board.redact_again()
        if isinstance(error, GeneratorExit):
            error = None  # whoever runs a decorated generator has seen enough of it
        if error is None and self.board.write_error is None:
            if self.board.policy.can_record and not self._options.allow_missing and not self._store.exists():
                self._store.append()  # that nothing happened is a recording too: it can be replayed
            self._store.commit()
        else:
            self._store.discard()
        if error is not None:
            return
        unnoticed = self.board.load_error or self.board.write_error
        if unnoticed is not None:
            raise unnoticed
        misses = self.board.cassette.misses
        if misses:
            swallowed = f"{misses[0].message}\n  (refused at {misses[0].where}, where the error was swallowed)"
            raise UnmatchedRequest(swallowed)


def _load(store: Store, mode: RecordMode, allow_missing: bool) -> list[yaml_format.Document]:
    if mode is RecordMode.REWRITE:
        return []
    if store.exists():
        return store.load()
    if mode is RecordMode.NONE and not allow_missing:
        raise CassetteNotFound(
            f'there is no cassette {str(store.path)!r} to replay; to record it, run once with record_mode="once"'
        )
    return []


def _sort(documents: list[yaml_format.Document], path: str) -> tuple[list[yaml_format.Document], list[TLSFacts]]:
    """Tell interactions and facts apart, parsing only what does not show it by its first line."""
    interactions: list[yaml_format.Document] = []
    facts: list[TLSFacts] = []
    for document in documents:
        if document.request_line is None:
            value = document.load(path)
            if isinstance(value, TLSFacts):
                facts.append(value)
            if not isinstance(value, Interaction):
                continue
        interactions.append(document)
    return interactions, facts


def _parse(document: yaml_format.Document, path: str) -> Interaction:
    value = document.load(path)
    assert isinstance(value, Interaction), "a document that begins with a request is an interaction"
    return value


def _netrc() -> str:
    """The text of the user's netrc file, whose passwords are secrets from the start."""
    try:
        return Path(os.environ.get("NETRC", "~/.netrc")).expanduser().read_text(errors="replace")
    except (OSError, RuntimeError):  # none there, or no home
        return ""


def _header(test: str | None) -> Header:
    by = f"cassette-http {__version__}, {platform.python_implementation()} {platform.python_version()}, {sys.platform}"
    return Header(recorded=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), by=by, test=test)


class Board:
    """What the transports ask of one cassette (transport.socket_face.Switchboard). Safe to use from many threads."""

    def __init__(
        self,
        cassette: Cassette,
        may: Policy,
        index: Index,
        store: Store,
        options: _Options,
        redactor: Redactor,
        facts: Iterable[TLSFacts],
    ) -> None:
        self.cassette = cassette
        self.policy = may
        self.is_left = False
        self._is_closed = False
        self.decides_at_head = not options.matching.needs_body
        self.keeps_pace = options.keeps_pace
        self.load_error: CassetteFormatError | None = None
        self.write_error: Exception | None = None
        self._index, self._store, self._matching = index, store, options.matching
        self._redactor = redactor
        self._has_secrets = bool(options.redaction["secrets"])
        self._facts = {one.origin: one for one in facts}
        self._channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        self._learned: list[int] = []  # how much the redactor knew when it saw each recorded interaction
        self._lock = threading.RLock()

    # ------------------------------------------------------------------ requests

    def choose(self, request: Request) -> Interaction | None:
        with self._lock, self._remembering_broken_documents():
            entry = self._index.find_same(request)
            if entry is None:
                request = self._redactor.redact_request(request)
                entry = self._index.find(request)
            if entry is not None:
                return self._play(entry)
            if self.policy.can_record:
                return None
            raise self._refuse(request)

    def expect(self, request: Request, fits: Callable[[Interaction], bool]) -> Interaction | None:
        with self._lock, self._remembering_broken_documents():
            entry = self._index.find_by_head(self._redactor.redact_request(request))
            return self._play(entry) if entry is not None and fits(entry.interaction) else None

    def _play(self, entry: Entry) -> Interaction:
        entry.plays += 1
        return self._redactor.restore(entry.interaction) if self._has_secrets else entry.interaction

    def keep(self, interaction: Interaction) -> None:
        with self._lock, self._deferring_errors():
            if self._is_closed:
                return  # a thread that outlived the block
            interaction = self._redactor.redact(interaction)
            self.cassette.recorded.append(interaction)
            self._learned.append(self._redactor.learned)
            self._append(yaml_format.dump_interaction(interaction))

    # ------------------------------------------------------------------ connections

    def open_channel(self, origin: Origin, via: Origin | None) -> Channel:
        channel = Channel(origin, self, clock, via)
        with self._lock:
            self._channels.add(channel)
            is_late = self.is_left
        if is_late:  # a thread that asked for the cassette before the block ended
            channel.leave()
        return channel

    def fail_connection(self, origin: Origin, *kinds: FailureKind) -> Failure | None:
        if not self.policy.can_play:
            return None
        with self._lock:
            entry = self._index.find_connection_failure(origin, kinds)
            if entry is None:
                return None
            entry.plays += 1
            return entry.interaction.track.failure

    def keep_connection_failure(self, origin: Origin, failure: Failure, via: Origin | None) -> None:
        self.keep(Interaction(origin, None, Track(failure=failure), via))

    def tls_facts(self, origin: Origin) -> TLSFacts:
        return self._facts.get(origin) or TLSFacts(origin)

    def keep_tls_facts(self, facts: TLSFacts) -> None:
        with self._lock:
            if self._facts.get(facts.origin) != facts and not self._is_closed:
                self._facts[facts.origin] = facts
                with self._deferring_errors():
                    self._append(yaml_format.dump_tls(facts))

    def leave(self) -> None:
        """The block ends: finish what is open."""
        with self._lock:
            self.is_left = True
            channels = list(self._channels)
        for channel in channels:  # without our lock: a channel asks for it while it holds its own
            channel.leave()
        with self._lock:
            self._is_closed = True

    def redact_again(self) -> None:
        """Take out of the file what was recognised as a secret only after it was written."""
        recorded, learned = self.cassette.recorded, self._redactor.learned
        replaced: dict[bytes, bytes] = {}
        for position, interaction in enumerate(recorded):
            if self._learned[position] == learned:
                continue
            recorded[position] = redacted = self._redactor.redact(interaction)
            if redacted is not interaction:
                replaced[yaml_format.dump_interaction(interaction)] = yaml_format.dump_interaction(redacted)
        if replaced:
            with self._deferring_errors():
                self._store.replace(replaced)

    # ------------------------------------------------------------------ inside

    def _append(self, document: bytes) -> None:
        """Write now, so that a killed process loses nothing."""
        if self.write_error is None:
            self._store.append(document)

    @contextmanager
    def _deferring_errors(self) -> Iterator[None]:
        """Keep the first error of the block until the cassette is left.

        The recorder must not raise into a client, which would take it for an error of its connection.
        """
        try:
            yield
        except Exception as error:
            self.write_error = self.write_error or error

    @contextmanager
    def _remembering_broken_documents(self) -> Iterator[None]:
        """Documents are parsed when they are needed, inside a client that may swallow the error."""
        try:
            yield
        except CassetteFormatError as error:
            self.load_error = self.load_error or error
            raise

    def _refuse(self, request: Request) -> UnmatchedRequest:
        candidates = [
            (entry.number, entry.request, entry.plays > 0) for entry in self._index.entries if entry.request is not None
        ]
        message = explain_miss(
            request,
            candidates,
            cassette=str(self.cassette.path),
            mode=self.cassette.record_mode.value,
            matching=self._matching,
        )
        self.cassette.misses.append(Miss(request, message, _caller()))
        return UnmatchedRequest(message)


_FOREIGN = tuple(
    folder + os.sep
    for folder in {
        os.path.dirname(__file__),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


def _caller() -> str:
    """The innermost line that is neither ours, nor the standard library's, nor an installed package's."""
    frame = sys._getframe(1)
    fallback = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_FOREIGN):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        fallback, frame = frame, frame.f_back  # type: ignore[assignment]  # None ends the loop
    return f"{fallback.f_code.co_filename}:{fallback.f_lineno}"
