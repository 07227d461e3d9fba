"""What classes and methods of unittest say about their cassettes: both test runners ask here."""

from __future__ import annotations

from typing import Any

__all__ = ["DECLARED", "declared_options"]

# The attribute of a class, or of a method, that holds its options.
DECLARED = "_cassette_http_options"


def declared_options(method: Any, cls: type | None) -> dict[str, Any] | None:
    """The options of a test, those of its method on top of those of its class; None if it has no cassette."""
    of_class, of_method = getattr(cls, DECLARED, None), getattr(method, DECLARED, None)
    return None if of_class is None and of_method is None else {**(of_class or {}), **(of_method or {})}
