"""Turns context managers into decorators for functions of every kind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def around(
    make: Callable[[], AbstractContextManager[T]],
    function: Callable[P, R],
    arguments: Callable[[T, tuple[Any, ...]], tuple[Any, ...]],
) -> Callable[..., R]:
    """Wrap a function, coroutine function or generator, so that each call runs in a new context manager.

    `arguments` combines those of the function, the value of the context manager, and those of the call.
    """
    wrapper: Any
    if inspect.isasyncgenfunction(function):

        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make() as given:
                async for item in function(*arguments(given, args), **kwargs):
                    yield item

    elif inspect.iscoroutinefunction(function):

        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make() as given:
                return await function(*arguments(given, args), **kwargs)

    elif inspect.isgeneratorfunction(function):

        def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make() as given:
                return (yield from function(*arguments(given, args), **kwargs))

    else:

        def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make() as given:
                return function(*arguments(given, args), **kwargs)

    wrapped: Callable[..., R] = functools.wraps(function)(wrapper)
    return wrapped
