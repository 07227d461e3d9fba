"""Parts of requests that are ignored when requests are compared: `ignore=` (pure).

They are removed from the request that was sent and from the recorded ones, before a matcher looks at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from cassette_http.cassette.meaning import joined, meaning, name_as_written, part_name
from cassette_http.cassette.model import Request
from cassette_http.cassette.rule_notation import json_path, place_of
from cassette_http.errors import InvalidOption

_PLACES = ("fields", "query", "form", "json", "multipart")


@dataclass(frozen=True)
class Ignored:
    """What is ignored: by name and place, and by paths into JSON. Made by `of`."""

    names: frozenset[tuple[str, str]] = frozenset()
    json_paths: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, rules: Iterable[str] | str) -> Ignored:
        """Parse the rules of `ignore=`. Raises InvalidOption for an invalid one.

        A rule is a name in one place ("query:ts", "form:nonce", "header:X-Request-Id", "json:id" at any depth,
        "multipart:file"), a name wherever it stands ("ts"), or a path into JSON ("$.meta.id", "$.items[*].id").
        """
        names: set[tuple[str, str]] = set()
        paths: list[tuple[str, ...]] = []
        for rule in [rules] if isinstance(rules, str) else rules:
            if not isinstance(rule, str) or not rule.strip():
                raise InvalidOption(f'a rule of ignore= looks like "query:page", "header:Date" or "$.id", not {rule!r}')
            option = f"ignore={rule!r}"
            place, colon, name = rule.partition(":")
            if rule.startswith("$"):
                paths.append(json_path(rule, option))
            elif colon and place.strip() == "json" and name.strip().startswith("$"):
                paths.append(json_path(name.strip(), option))
            elif colon:
                place = place_of(place, _PLACES, option)
                names.add((place, name.strip().lower() if place == "fields" else name.strip()))
            else:
                names |= {(place, rule.strip().lower() if place == "fields" else rule.strip()) for place in _PLACES}
        return cls(frozenset(names), tuple(paths))

    def strip(self, request: Request) -> Request:
        """Remove what is ignored from `request`; returns the same object if there is nothing to remove."""
        if not (self.names or self.json_paths):
            return request
        return self._without_fields(self._without_content(self._without_query(request)))

    def _without_fields(self, request: Request) -> Request:
        for name in {name.lower() for name, _ in request.fields}:
            if ("fields", name) in self.names:
                request = request.without_field(name).with_coded_content(request.coded_content)
        return request

    def _without_query(self, request: Request) -> Request:
        before, mark, query = request.head.target.partition("?")
        kept = self._without_pairs("query", query)
        if kept == query:
            return request
        return request.with_target(f"{before}{mark}{kept}" if kept else before)

    def _without_pairs(self, place: str, text: str) -> str:
        return "&".join([pair for pair in text.split("&") if (place, _name_of(pair)) not in self.names])

    def _without_content(self, request: Request) -> Request:
        if not request.body_octets:
            return request
        kind, value = meaning(request)
        if kind == "JSON":
            kept = self._without_members(value, self.json_paths)
            return request if kept is value else request.with_content(json.dumps(kept).encode())
        if kind == "form":
            text = request.content.decode("latin-1")
            form = self._without_pairs("form", text)
            return request if form == text else request.with_content(form.encode("latin-1"))
        if kind == "multipart":
            parts = [part for part in value if ("multipart", part_name(part)) not in self.names]
            if len(parts) < len(value):
                return request.with_content(joined(parts, request.value("Content-Type") or ""))
        return request

    def _without_members(self, value: Any, paths: tuple[tuple[str, ...], ...]) -> Any:
        """Leave out members that are named, or at the end of one of `paths`; the same object if there are none.

        Recursion is safe here, as `meaning` limits the depth.
        """
        members: Iterable[tuple[Any, Any]]
        if isinstance(value, dict):
            members = value.items()
        elif isinstance(value, list):
            members = enumerate(value)
        else:
            return value
        kept: list[tuple[Any, Any]] = []
        is_changed = False
        for step, member in members:
            below = tuple([path[1:] for path in paths if path[0] in ("*", str(step))])
            if () in below or (isinstance(value, dict) and ("json", step) in self.names):
                is_changed = True
                continue
            left = self._without_members(member, below)
            is_changed = is_changed or left is not member
            kept.append((step, left))
        if not is_changed:
            return value
        return dict(kept) if isinstance(value, dict) else [member for _, member in kept]


def _name_of(pair: str) -> str:
    return name_as_written(unquote_plus(pair.partition("=")[0], encoding="latin-1"))


NOTHING_IGNORED = Ignored()
