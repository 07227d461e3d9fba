"""What a played TLS connection says about itself: what was recorded of the real one."""

from __future__ import annotations

import _ssl
import ipaddress
import ssl
from typing import Any

from cassette_http.cassette.model import Origin, TLSFacts


class _PlayedCertificate:
    """The peer's certificate, with the methods of the `_ssl.Certificate` objects in a chain."""

    def __init__(self, facts: TLSFacts) -> None:
        self._facts = facts

    def get_info(self) -> dict[str, Any]:
        return self._facts.peer or {}

    def public_bytes(self, format: int = _ssl.ENCODING_PEM) -> str | bytes:
        der = self._facts.certificate or b""
        return der if format == _ssl.ENCODING_DER else ssl.DER_cert_to_PEM_cert(der)


def _certificate_for(name: str) -> dict[str, Any]:
    """The details of a certificate for this name, if the cassette has none.

    It may have been written by hand, or converted; but clients that compare the name themselves (botocore) need one.
    """
    try:
        ipaddress.ip_address(name)
        kind = "IP Address"
    except ValueError:
        kind = "DNS"
    return {"subject": ((("commonName", name),),), "subjectAltName": ((kind, name),)}


class PlayedTLS:
    """Answers what libraries ask of a TLS connection that was never made."""

    session = None
    session_reused = server_side = False

    def __init__(
        self, facts: TLSFacts, server_hostname: str | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._facts = facts
        self.server_hostname, self.context = server_hostname, context

    def getpeercert(self, binary_form: bool = False, /) -> Any:
        if binary_form:
            return self._facts.certificate
        if self._facts.peer is not None:
            return self._facts.peer
        return _certificate_for(self.server_hostname or self._facts.origin.host)

    def version(self) -> str | None:
        return self._facts.version

    def cipher(self) -> tuple[str, str, int] | None:
        return self._facts.cipher

    def selected_alpn_protocol(self) -> str | None:
        return self._facts.alpn

    def get_verified_chain(self) -> list[_PlayedCertificate]:
        """Only the peer's own certificate is recorded."""
        return [_PlayedCertificate(self._facts)] if self._facts.certificate else []

    get_unverified_chain = get_verified_chain

    def _unknown(self, *args: object) -> None:
        """Not recorded."""

    shutdown = compression = shared_ciphers = get_channel_binding = _unknown


class TLSBeforeHandshake(PlayedTLS):
    """A connection before its handshake, so that nothing is agreed."""

    def __init__(self, origin: Origin, server_hostname: str | None) -> None:
        super().__init__(TLSFacts(origin), server_hostname)

    def getpeercert(self, binary_form: bool = False, /) -> Any:
        raise ValueError("handshake not done yet")
