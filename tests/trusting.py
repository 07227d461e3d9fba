"""An adapter of requests that trusts the certificates of the tests."""

from __future__ import annotations

import ssl
from typing import Any

import requests

__all__ = ["Trusting"]


class Trusting(requests.adapters.HTTPAdapter):
    """Trusts what `trust` does, and does not load all that certifi knows for each connection, which takes long."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._trust, **options)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._trust, **options)

    def cert_verify(self, *args: Any) -> None:
        pass
