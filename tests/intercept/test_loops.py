"""Loops that need hooks of their own, or that cannot be served."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cassette_http import UnsupportedLibrary, use_cassette
from tests.peer import Peer, keep_alive, response


def test_uvloop_is_refused_while_a_cassette_is_in_use_and_works_after(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this system")
    server = peer(keep_alive(lambda request: response(b"live")))

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        octets = await asyncio.wait_for(reader.readuntil(b"live"), 5)
        writer.close()
        return octets

    loop = uvloop.new_event_loop()
    with use_cassette(tmp_path / "any.yaml", "all"), pytest.raises(UnsupportedLibrary, match="event loop of asyncio"):
        loop.run_until_complete(ask())
    assert loop.run_until_complete(ask()) == response(b"live")
    loop.close()


@pytest.mark.parametrize("module", ["trio", "uvloop", "requests", "httpx", "aiohttp", "urllib3"])
def test_no_library_is_imported_only_to_hook_it(module: str, tmp_path: Path) -> None:
    program = (
        "import sys; from cassette_http import use_cassette\n"
        f"with use_cassette({str(tmp_path / 'any.yaml')!r}, 'all'): pass\n"
        f"print({module!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
