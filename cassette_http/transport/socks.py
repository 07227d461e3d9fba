"""How a client asks a SOCKS proxy for a tunnel (RFC 1928, RFC 1929, and SOCKS 4 and 4a, which have no RFC). Pure.

This exchange is not recorded, unlike that of CONNECT: it may contain a password, and a proxy that agrees says nothing
else. So any cassette can play it. Only a refusal, or a broken connection, is recorded and played.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from cassette_http.cassette.model import Failure, FailureKind, Origin
from cassette_http.transport.deck import Deck
from cassette_http.transport.replaying import Signal
from cassette_http.transport.tunnels import Line, Tunnel

# Tells which host an address stands for, and whether the address is invented, as no name server was asked for it.
Naming = Callable[[str, int], tuple[str, bool]]

CONNECT = 1
NO_LOGIN, PASSWORD, NO_METHOD = 0, 2, 0xFF
IPV4, NAME, IPV6 = 1, 3, 4
GRANTED, GRANTED_4 = 0, 90
# SOCKS 4a: an address that no host has means that the name follows.
NAMED_4 = b"\0\0\0\1"
NOWHERE = bytes(6)

# RFC 1928 section 6, and the same for SOCKS 4.
REASONS = {
    1: "general SOCKS server failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
    91: "request rejected or failed",
    92: "request rejected: the proxy cannot reach identd on the client",
    93: "request rejected: identd reports another user",
}


class Stage(Enum):
    """The messages of a client, each answered by the proxy; the values are words of the cassette format."""

    METHODS = "methods"  # how the client can log in
    LOGIN = "login"
    REQUEST = "request"


def as_it_is(host: str, port: int) -> tuple[str, bool]:
    """The naming to use if no names are known."""
    return host, False


def socks_version(octets: bytes) -> int | None:
    """The version of SOCKS that a client speaks; None unless it begins with a whole first message of SOCKS.

    All of it is checked: the messages of MongoDB clients begin with their length, which may also be 04 01 or 05 01.
    """
    if octets[:1] == b"\x05" and len(octets) >= 3 and octets[1]:
        behind = octets[2 + octets[1] :]
        is_whole = len(octets) >= 2 + octets[1] and (not behind or behind[0] in (1, 5))
        return 5 if is_whole else None
    if octets[:2] != b"\x04\x01" or octets[2:4] == bytes(2):
        return None
    return 4 if _length(_message_octets, 4, Stage.REQUEST, octets) == len(octets) else None


class Greeting:
    """A client asks `proxy` for a tunnel: a live proxy, or none at all if the greeting `is_played`.

    `naming` tells the host if the client has looked up an address itself.
    """

    def __init__(
        self,
        version: int,
        proxy: Origin,
        deck: Deck,
        clock: Callable[[], float],
        naming: Naming,
        *,
        is_played: bool,
    ) -> None:
        self.proxy = Origin(f"socks{version}", proxy.host, proxy.port)
        self.is_played = is_played
        self.far_end: Origin | None = None  # the host to reach, once the client has named it
        self.is_lost = False  # it cannot be followed
        self._version, self._deck, self._clock, self._naming = version, deck, clock, naming
        self._asks = Stage.METHODS if version == 5 else Stage.REQUEST
        self._messages: dict[Stage, bytes] = {}
        self._sent = b""
        self._sent_at = 0.0
        self._answers = _Answers(version)  # of a live proxy
        self._due = b""  # the answer of a played one
        self._failure: Failure | None = None  # the recorded one
        self._ending: Failure | None = None  # the same, once the client has come to it

    @property
    def tunnel(self) -> Tunnel:
        """Sends the same messages to a live proxy."""
        return functools.partial(_open_anew, self._version, self._messages)

    @property
    def is_over(self) -> bool:
        """The tunnel is open, and the client has got the answer."""
        if self.is_played:
            return self.far_end is not None and not self._due and self._ending is None
        return self._answers.stage is None and self._answers.refusal is None

    # ------------------------------------------------------------------ what the client does

    def client_sent(self, octets: bytes) -> tuple[bytes, bytes]:
        """Take octets; returns those for the proxy, and those for the tunnel."""
        self._sent_at = self._clock()
        self._sent += octets
        forward = b""
        while self._sent and self.far_end is None and not self.is_lost:
            if self._asks is Stage.LOGIN and self._sent[:1] == b"\x05":
                self._asks = Stage.REQUEST  # the proxy asked for no login
            length = _length(_message_octets, self._version, self._asks, self._sent)
            if length > len(self._sent):
                return forward, b""
            message, self._sent = self._sent[:length], self._sent[length:]
            forward += self._take(message)
        rest, self._sent = self._sent, b""
        return (forward + rest, b"") if self.is_lost else (forward, rest)

    def client_reads(self, at_most: int) -> bytes | Failure | Signal:
        """What the client gets in a played greeting."""
        if self._due:
            octets, self._due = self._due[:at_most], self._due[at_most:]
            return octets
        if self._ending is None:
            return Signal.WAIT
        return Signal.END if self._ending.text is None or "answer" in self._ending.details else self._ending

    @property
    def is_due(self) -> bool:
        """A read of a played greeting would not have to wait."""
        return bool(self._due) or (self._ending is not None and not self._ending.is_timeout)

    def _take(self, message: bytes) -> bytes:
        """Take a message; returns what to forward of it to the proxy."""
        stage = self._asks
        if stage is Stage.REQUEST:
            message = self._take_request(message)
        elif stage is Stage.METHODS:
            self._asks = Stage.LOGIN
            self.is_lost = self.is_played and _chosen_method(message) == NO_METHOD
        else:
            self._asks = Stage.REQUEST
        self._messages[stage] = message
        if not self.is_played:
            return message
        if not self.is_lost:
            self._play(stage)
        return b""

    def _take_request(self, message: bytes) -> bytes:
        host, port = _named_by(self._version, message)
        self.is_lost = message[1] != CONNECT or not host
        if self.is_lost:
            return message
        name, is_invented = self._naming(host, port)
        self.far_end = Origin("http", name.lower(), port)
        return _request_by_name(self._version, message, name) if is_invented else message

    def _play(self, stage: Stage) -> None:
        """Answer like the recorded proxy, which has agreed unless the cassette says otherwise."""
        if stage is Stage.METHODS:
            self._failure = self._deck.fail_connection(self.proxy, FailureKind.PROXY)
        elif stage is Stage.REQUEST and self._failure is None:
            assert self.far_end is not None, "it was named by the request"
            self._failure = self._deck.fail_connection(replace(self.far_end, scheme="tcp"), FailureKind.PROXY)
        if self._failure is not None and self._failure.details.get("stage") == stage.value:
            self._ending, self._due = self._failure, _octets_of(self._failure.details.get("answer"))
        else:
            self._due += _agreement(self._version, stage, self._messages[stage])

    # ------------------------------------------------------------------ what a live proxy does

    def peer_sent(self, octets: bytes) -> bytes:
        """Take what the live proxy says; returns what came through the tunnel."""
        rest = self._answers.feed(octets)
        refusal = self._answers.refusal
        if refusal is not None:
            self._keep(Failure(FailureKind.PROXY, self._clock(), None, refusal, {"answer": self._answers.octets.hex()}))
        self.is_lost = refusal is not None or self._answers.is_lost
        return rest

    def peer_failed(self, failure: Failure | None) -> None:
        """The connection broke, or was closed, before the proxy had answered."""
        self._keep(failure or Failure(FailureKind.PROXY, self._clock()))
        self.is_lost = True

    def _keep(self, failure: Failure) -> None:
        stage = self._answers.stage
        if stage is None:
            return
        details = {"stage": stage.value, **failure.details}
        at = max(0.0, failure.at - self._sent_at)
        failure = Failure(FailureKind.PROXY, at, failure.errno, failure.text, details)
        if stage is Stage.REQUEST and self.far_end is not None:
            self._deck.keep_connection_failure(replace(self.far_end, scheme="tcp"), failure, self.proxy)
        else:
            self._deck.keep_connection_failure(self.proxy, failure, None)


class _Answers:
    """The answers of a live proxy; `stage` is the next one, or None once the proxy has agreed."""

    def __init__(self, version: int) -> None:
        self.stage: Stage | None = Stage.METHODS if version == 5 else Stage.REQUEST
        self.refusal: str | None = None  # in words
        self.is_lost = False  # it has chosen a way to log in that cannot be followed
        self.octets = b""  # of the answer that is not complete, or that refuses
        self._version = version

    def feed(self, octets: bytes) -> bytes:
        """Take octets; returns those after the last answer."""
        self.octets += octets
        while self.stage is not None and len(self.octets) > 1 and self.refusal is None and not self.is_lost:
            length, following = self._read(self.stage, *self.octets[:2])
            if length > len(self.octets):
                break
            if self.refusal is None:
                self.octets, self.stage = self.octets[length:], following
        rest = b""
        if self.stage is None:
            rest, self.octets = self.octets, b""
        return rest

    def _read(self, stage: Stage, first: int, code: int) -> tuple[int, Stage | None]:
        """Read the answer that begins with these two octets: its length, and the stage after it unless it refuses."""
        if first != _first_octet(self._version, stage):
            self.refusal = "no answer of a SOCKS proxy"
        elif stage is Stage.METHODS:
            if code == NO_METHOD:
                self.refusal = "no acceptable authentication method"
            self.is_lost = code not in (NO_LOGIN, PASSWORD, NO_METHOD)
            return 2, Stage.LOGIN if code == PASSWORD else Stage.REQUEST
        elif stage is Stage.LOGIN:
            if code != GRANTED:
                self.refusal = "authentication failed"
            return 2, Stage.REQUEST
        elif code != (GRANTED_4 if self._version == 4 else GRANTED):
            self.refusal = REASONS.get(code, f"refused with code {code}")
        return _length(_agreement_octets, self._version, stage, self.octets), None


def _open_anew(version: int, messages: Mapping[Stage, bytes], line: Line) -> None:
    """Send to a live proxy what was sent to a played one. Raises OSError if it refuses."""
    answers = _Answers(version)
    said: Stage | None = None
    while answers.stage is not None:
        if answers.stage is not said:
            said = answers.stage
            if said not in messages:
                raise OSError("the SOCKS proxy asks for a login, which its client has not got")
            line.sendall(messages[said])
        octet = line.recv(1)  # nothing that follows the answer may be read
        answers.feed(octet)
        if answers.refusal is not None or answers.is_lost or not octet:
            raise OSError(f"the SOCKS proxy opens no tunnel: {answers.refusal or 'it does not answer'}")


# ---------------------------------------------------------------------- octets


def _length(tell: Callable[[int, Stage, bytes], int], version: int, stage: Stage, octets: bytes) -> int:
    """The length of a message that begins with these octets; more than there are if that is not known yet."""
    try:
        return tell(version, stage, octets)
    except (IndexError, ValueError):
        return len(octets) + 1


def _message_octets(version: int, stage: Stage, octets: bytes) -> int:
    if stage is Stage.METHODS:
        return 2 + octets[1]
    if stage is Stage.LOGIN:
        return 3 + octets[1] + octets[2 + octets[1]]
    if version == 5:
        return _address_end(octets) + 2
    end = octets.index(b"\0", 8) + 1
    return octets.index(b"\0", end) + 1 if _has_name_4(octets) else end


def _agreement_octets(version: int, stage: Stage, octets: bytes) -> int:
    return 8 if version == 4 else _address_end(octets) + 2


def _address_end(octets: bytes) -> int:
    """Where the address ends in a SOCKS 5 request, or in its answer."""
    return {IPV4: 8, IPV6: 20}.get(octets[3]) or (5 + octets[4] if octets[3] == NAME else 4)


def _has_name_4(octets: bytes) -> bool:
    return octets[4:7] == bytes(3) and octets[7] > 0


def _named_by(version: int, message: bytes) -> tuple[str, int]:
    """The host and port that a request asks for; the host is "" if there is none."""
    if version == 4:
        port = int.from_bytes(message[2:4])
        if _has_name_4(message):
            return message[8:-1].partition(b"\0")[2].decode("latin-1"), port
        return str(IPv4Address(message[4:8])), port
    address, port = message[4:-2], int.from_bytes(message[-2:])
    if message[3] == IPV4:
        return str(IPv4Address(address)), port
    if message[3] == IPV6:
        return str(IPv6Address(address)), port
    return address[1:].decode("latin-1"), port  # "" for an unknown type of address


def _request_by_name(version: int, message: bytes, name: str) -> bytes:
    """The same request, but with the name, which the proxy looks up: nobody has done so yet."""
    host = name.encode("idna")
    if version == 4:
        return message[:4] + NAMED_4 + message[8:] + host + b"\0"
    return message[:3] + bytes((NAME, len(host))) + host + message[-2:]


def _chosen_method(message: bytes) -> int:
    """The way to log in that a played proxy chooses: with a password if possible, as a live one may ask for it."""
    return next((method for method in (PASSWORD, NO_LOGIN) if method in message[2:]), NO_METHOD)


def _first_octet(version: int, stage: Stage) -> int:
    """The first octet of an answer."""
    if version == 4:
        return 0
    return 1 if stage is Stage.LOGIN else 5


def _agreement(version: int, stage: Stage, message: bytes) -> bytes:
    """The answer of a proxy that agrees to a message of its client."""
    if version == 4:
        return bytes((0, GRANTED_4)) + NOWHERE
    if stage is Stage.METHODS:
        return bytes((5, _chosen_method(message)))
    return bytes((1, GRANTED)) if stage is Stage.LOGIN else bytes((5, GRANTED, 0, IPV4)) + NOWHERE


def _octets_of(answer: object) -> bytes:
    """The answer in a cassette, which may have been edited to something invalid."""
    try:
        return bytes.fromhex(str(answer or ""))
    except ValueError:
        return b""
