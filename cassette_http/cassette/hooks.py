"""Functions of the user that see requests and interactions on their way into a cassette and out of it (pure).

Each gets a value and returns it, a changed one, or None to drop it. If there are several, each gets the result of the
one before. An exception in a hook is the user's error, and is not caught here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from cassette_http.cassette.model import Interaction, Request
from cassette_http.errors import InvalidOption

InteractionHook: TypeAlias = Callable[[Interaction], "Interaction | None"]
RequestHook: TypeAlias = Callable[[Request], "Request | None"]

_Value = TypeVar("_Value", Interaction, Request)


@dataclass(frozen=True)
class Hooks:
    """The hooks of one session. Made by `of`."""

    on_record: tuple[InteractionHook, ...] = ()
    on_match: tuple[RequestHook, ...] = ()
    on_replay: tuple[InteractionHook, ...] = ()

    @classmethod
    def of(
        cls,
        on_record: InteractionHook | Iterable[InteractionHook] | None = None,
        on_match: RequestHook | Iterable[RequestHook] | None = None,
        on_replay: InteractionHook | Iterable[InteractionHook] | None = None,
    ) -> Hooks:
        """Accept one function or several for each hook. Raises InvalidOption for anything else."""
        return cls(
            _functions("on_record", on_record), _functions("on_match", on_match), _functions("on_replay", on_replay)
        )

    def recorded(self, interaction: Interaction) -> Interaction | None:
        return _passed("on_record", self.on_record, interaction)

    def asked(self, request: Request) -> Request | None:
        return _passed("on_match", self.on_match, request)

    def replayed(self, interaction: Interaction) -> Interaction | None:
        return _passed("on_replay", self.on_replay, interaction)


def _functions(name: str, given: Any) -> tuple[Any, ...]:
    if given is None:
        return ()
    functions = tuple(given) if isinstance(given, Iterable) and not callable(given) else (given,)
    for function in functions:
        if not callable(function):
            raise InvalidOption(f"{name}= takes a function, or several, not {function!r}")
    return functions


def _passed(name: str, functions: tuple[Callable[[_Value], _Value | None], ...], value: _Value) -> _Value | None:
    kind = type(value)
    for function in functions:
        returned: Any = function(value)
        if returned is None:
            return None
        if not isinstance(returned, kind):
            shown = getattr(function, "__name__", repr(function))
            raise InvalidOption(
                f"{name}: {shown} returned {returned!r}, which is not of type {kind.__name__}; "
                "return what it was given, a changed one, or None to drop it"
            )
        value = returned
    return value
