"""`VCR` and `use_cassette` with the interface of VCR.py, based on `cassette_http.use_cassette`."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, overload

from cassette_http.around import around
from cassette_http.cassette.modes import RecordMode as OurRecordMode
from cassette_http.errors import CassetteWarning
from cassette_http.session import use_cassette as our_use_cassette
from cassette_http.vcr.config import DEFAULTS
from cassette_http.vcr.objects import VcrCassette
from cassette_http.vcr.settings import VcrSettings, arrange

Function = TypeVar("Function", bound=Callable[..., Any])


class RecordMode(StrEnum):
    """Record modes, with VCR.py's names."""

    ALL = "all"
    ANY = "any"
    NEW_EPISODES = "new_episodes"
    NONE = "none"
    ONCE = "once"


class VCR(VcrSettings):
    """Takes the options of VCR.py's class of this name, as arguments or attributes, for `use_cassette`."""

    # Read and extended by programs.
    record_mode = RecordMode.ONCE
    match_on = DEFAULTS["match_on"]
    filter_headers: Any = ()
    filter_query_parameters: Any = ()
    filter_post_data_parameters: Any = ()
    filter_sensitive_data: Any = ()
    ignore_hosts: Any = ()
    serializer = "yaml"
    record_on_exception = True
    ignore_localhost = inject_cassette = decode_compressed_response = drop_unused_requests = False
    cassette_library_dir: Any = None
    path_transformer: Any = None
    func_path_generator: Any = None
    before_record_request: Any = None
    before_record_response: Any = None
    before_save_interaction: Any = None
    after_load_interaction: Any = None

    def __init__(self, **options: Any) -> None:
        OurRecordMode.of(options.get("record_mode", self.record_mode))  # a wrong one is reported where it was written
        super().__init__(**options)

    @overload
    def use_cassette(self, path: Function, /) -> Function: ...
    @overload
    def use_cassette(self, path: str | os.PathLike[str] | None = None, **options: Any) -> CassetteInUse: ...
    def use_cassette(self, path: Any = None, **options: Any) -> Any:
        """Make a context manager that returns the cassette, and a decorator. Without a path, the function's name is
        used.

        Options are those of the object; they are looked at when the cassette is put into use.
        """
        if inspect.isfunction(path):
            return CassetteInUse(self, None, {})(path)
        now = self._settings() if options.pop("with_current_defaults", False) else {}
        return CassetteInUse(self, path, {**now, **options})

    def test_case(self, predicate: Callable[[str, Any], bool] | None = None) -> type:
        """Make a base class that gives a cassette to each method accepted by `predicate` (default: `test...`)."""
        is_test = predicate or self.is_test_method

        class TestCase:
            def __init_subclass__(cls, **arguments: Any) -> None:
                super().__init_subclass__(**arguments)
                for name, value in list(vars(cls).items()):
                    if is_test(name, value):
                        setattr(cls, name, self.use_cassette(value))

        return TestCase

    @staticmethod
    def is_test_method(name: str, value: Any) -> bool:
        return name.startswith("test") and inspect.isfunction(value)

    @staticmethod
    def ensure_suffix(suffix: str) -> Callable[[str], str]:
        """Make a `path_transformer` that adds a suffix to paths without it."""
        return lambda path: os.fspath(path).removesuffix(suffix) + suffix


class CassetteInUse:
    """Uses of a cassette, one after the other, each with the options of the `VCR` at that time."""

    def __init__(self, vcr: VCR, path: str | os.PathLike[str] | None, options: dict[str, Any]) -> None:
        self._vcr, self._path, self._options = vcr, path, options
        self._open: list[our_use_cassette] = []

    def __enter__(self) -> VcrCassette:
        if self._path is None:
            raise TypeError("use_cassette needs the path of a cassette, unless it decorates a function")
        merged = {**self._vcr._settings(), **self._options}
        arranged = arrange(self._vcr, merged, _place(os.fspath(self._path), merged))
        for remark in arranged.remarks:
            warnings.warn(remark, CassetteWarning, stacklevel=2)
        mode = arranged.options.pop("mode", None)
        using = our_use_cassette(arranged.path, mode, allow_missing=True, everywhere=True, **arranged.options)
        cassette = using.__enter__()
        self._open.append(using)
        return VcrCassette(cassette)

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.pop().__exit__(cls, error, traceback)

    def __call__(self, function: Function) -> Function:
        def in_use() -> CassetteInUse:
            path = self._path if self._path is not None else self._path_of(function)
            return CassetteInUse(self._vcr, path, self._options)

        def arguments(cassette: VcrCassette, args: tuple[Any, ...]) -> tuple[Any, ...]:
            if not {**self._vcr._settings(), **self._options}.get("inject_cassette"):
                return args
            before = _is_of_class(function)  # a method gets its object first
            return (*args[:before], cassette, *args[before:])

        wrapped: Any = around(in_use, function, arguments)
        return wrapped  # type: ignore[no-any-return]  # same signature as the function

    def _path_of(self, function: Callable[..., Any]) -> str:
        merged = {**self._vcr._settings(), **self._options}
        if generate := merged.get("func_path_generator"):
            return str(generate(function))
        if merged.get("cassette_library_dir"):
            return function.__name__
        return os.path.join(os.path.dirname(inspect.getfile(function)), function.__name__)


def _is_of_class(function: Callable[..., Any]) -> bool:
    return not f"<locals>.{function.__qualname__}".rpartition(".")[0].endswith("<locals>")


def _place(path: str, merged: dict[str, Any]) -> Path:
    if transform := merged.get("path_transformer"):
        path = os.fspath(transform(path))
    library = os.fspath(merged.get("cassette_library_dir") or "")
    return Path(path if path.startswith(library) else os.path.join(library, path))
