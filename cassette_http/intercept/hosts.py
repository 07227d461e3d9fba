"""Patterns for hosts: names, domains, addresses and networks, as users write them in options (pure)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from typing import TypeAlias

from cassette_http.errors import InvalidOption

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# A port after a name, an IPv4 address, or an IPv6 address in brackets.
PORT = re.compile(r"(\[[^]]*\]|[^:\[]*):([0-9]{1,5})")
NAME = re.compile(r"[A-Za-z0-9_.*?-]+")


@dataclass(frozen=True)
class _Pattern:
    """One pattern: a network, or a name as a regular expression; `port` is None for all ports."""

    network: Network | None
    name: re.Pattern[str] | None
    port: int | None


class HostPatterns:
    """Says whether a host is one of those that the patterns name.

    A pattern is a name (`example.org`, also with `*` and `?`), a domain with all that is in it (`.example.org`), an
    address, or a network (`10.0.0.0/8`); all but networks may have a port (`example.org:8443`, `[::1]:80`).
    Raises InvalidOption for what is none.
    """

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        given = patterns.replace(",", " ").split() if isinstance(patterns, str) else patterns
        self.texts = list(given) if isinstance(given, Iterable) else []
        if not isinstance(given, Iterable) or not all(isinstance(text, str) for text in self.texts):
            raise InvalidOption(f'hosts are given as texts, such as ["*.internal"], not as {patterns!r}')
        self._patterns = [_read(text) for text in self.texts]

    def __str__(self) -> str:
        return ", ".join(self.texts)

    def has_name(self, host: str, port: int | None = None) -> bool:
        """Tell whether a host name matches; if no port is given, patterns with a port match as well."""
        name = host.lower().rstrip(".")
        return any(
            one.name is not None and one.name.fullmatch(name) is not None and _fits(one.port, port)
            for one in self._patterns
        )

    def has_address(self, address: Address, port: int | None = None) -> bool:
        """Tell whether an address matches."""
        return any(
            one.network is not None and address in one.network and _fits(one.port, port) for one in self._patterns
        )


class HostExpressions(HostPatterns):
    """Like HostPatterns, but with regular expressions, which match the beginning of a name or an address."""

    def __init__(self, expressions: Iterable[str]) -> None:
        super().__init__()
        self.texts = list(expressions)
        try:
            self._expressions = [re.compile(text) for text in self.texts]
        except re.error as exc:
            raise InvalidOption(f"one of the allowed hosts is not a valid regular expression: {exc}") from None

    def has_name(self, host: str, port: int | None = None) -> bool:
        return any(one.match(host) is not None for one in self._expressions)

    def has_address(self, address: Address, port: int | None = None) -> bool:
        return self.has_name(str(address))


def _fits(wanted: int | None, port: int | None) -> bool:
    return wanted is None or port is None or wanted == port


def _read(text: str) -> _Pattern:
    host, port = text.strip().lower(), None
    found = PORT.fullmatch(host)
    if found is not None:
        host, port = found[1], int(found[2])
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        return _Pattern(ipaddress.ip_network(host, strict=False), None, port)
    except ValueError:
        pass
    if NAME.fullmatch(host) is None:
        raise InvalidOption(
            f"{text!r} is not a host; hosts are example.org, *.example.org, .example.org, 10.0.0.1, 10.0.0.0/8, "
            "and with a port example.org:8443"
        )
    host = host.rstrip(".")
    if host.startswith("."):
        return _Pattern(None, re.compile(f"(?:.*\\.)?{re.escape(host[1:])}"), port)
    return _Pattern(None, re.compile(translate(host)), port)


def address_of(host: str) -> Address | None:
    """The address that `host` is, without its zone, and as IPv4 if it is mapped into IPv6. None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
