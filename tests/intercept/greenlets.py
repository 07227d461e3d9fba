"""What a program with gevent does with its peers: live, while it is recorded, and played with the peers gone.

test_gevent.py runs it in a process of its own, as monkey patches cannot be taken back. It prints what it saw as one
line of JSON each time, and goes on when it is told to.
"""

# ruff: noqa: E402  # the order of imports is what this is about

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

ORDER, FOLDER, HTTP_PORT, HTTPS_PORT, PROXY_PORT, OTHER_PORT = sys.argv[1:7]

if ORDER == "patched before":
    import gevent.monkey

    gevent.monkey.patch_all()

import cassette_http.session  # noqa: F401  # the hooks
from cassette_http import UnmatchedRequest, client, use_cassette

if ORDER == "patched after":
    import gevent.monkey

    gevent.monkey.patch_all(Event=False)

import http.client
import socket
import ssl

import gevent
import gevent.pool
import gevent.select
import gevent.socket
import gevent.ssl

IS_PATCHED = ORDER != "not patched"
LIMIT_S = 10

sockets: Any = socket if IS_PATCHED else gevent.socket
trust: Any = (ssl if IS_PATCHED else gevent.ssl).SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trust.load_verify_locations(f"{FOLDER}/ca.pem")
trust.set_alpn_protocols(["http/1.1"])

is_tls = False  # of what the scenario asks now


def origin() -> str:
    return f"https://localhost:{HTTPS_PORT}" if is_tls else f"http://localhost:{HTTP_PORT}"


def opened() -> Any:
    sock = sockets.create_connection(("localhost", int(HTTPS_PORT if is_tls else HTTP_PORT)), timeout=LIMIT_S)
    return trust.wrap_socket(sock, server_hostname="localhost") if is_tls else sock


def send(sock: Any, path: str) -> None:
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def read_until(sock: Any, mark: bytes) -> str:
    seen = b""
    while mark not in seen and (octets := sock.recv(65536)):
        seen += octets
    return seen.decode()


def get(path: str) -> str:
    with opened() as sock:
        send(sock, path)
        return read_until(sock, path.encode())


# ---------------------------------------------------------------------- of every program


def one_after_another() -> object:
    with opened() as sock:
        seen = []
        for path in ("/a", "/b", "/a"):
            send(sock, path)
            seen.append(read_until(sock, path.encode()))
        return seen


def while_another_waits() -> object:
    """The peer answers one only when it has the other: a read that blocked the hub would wait for ever."""
    waiting = gevent.spawn(get, "/held")
    gevent.sleep(0)
    return [get("/release"), waiting.get()]


def stream() -> object:
    """The second half is sent when the first has arrived."""
    with opened() as sock:
        send(sock, "/stream")
        seen = read_until(sock, b"first")
        released = get("/release")
        if "second" not in seen:  # pieces that came within a millisecond are one when they are played
            seen += read_until(sock, b"0\r\n\r\n")
        return [seen, released]


def one_reads_and_another_sends() -> object:
    with opened() as sock:
        reading = gevent.spawn(read_until, sock, b"/beside")
        gevent.sleep(0)
        send(sock, "/beside")
        return reading.get()


def eight_at_once() -> object:
    return gevent.pool.Pool(8).map(get, [f"/{number}" for number in range(8)])


def killed_in_a_read() -> object:
    with opened() as sock:
        send(sock, "/silent")
        try:
            with gevent.Timeout(0.05):
                return sock.recv(100).decode()
        except gevent.Timeout:
            return "killed"


def killed_beside_others() -> object:
    with opened() as first, opened() as second:
        for sock in (first, second):
            send(sock, "/silent")
        waiting = [gevent.spawn(sock.recv, 100) for sock in (first, second)]
        seen = gevent.pool.Pool(3).map(get, [f"/{number}" for number in range(3)])
        gevent.killall(waiting)
        return [seen, [greenlet.dead for greenlet in waiting]]


def timed_out() -> object:
    with opened() as sock:
        send(sock, "/half")
        seen = read_until(sock, b"half")
        sock.settimeout(0.05)
        try:
            return sock.recv(100).decode()
        except OSError as error:
            return [seen, type(error).__name__, str(error)]


def reset() -> object:
    with opened() as sock:
        send(sock, "/reset")
        try:
            return sock.recv(100).decode()
        except OSError as error:
            return [type(error).__name__, error.errno]


def refused() -> object:
    try:
        return sockets.create_connection(("127.0.0.77", int(HTTP_PORT)), timeout=LIMIT_S).fileno()
    except OSError as error:
        return [type(error).__name__, str(error)]


def not_found() -> object:
    try:
        return sockets.create_connection(("nowhere.invalid", 80), timeout=LIMIT_S).fileno()
    except OSError as error:
        return [type(error).__name__, str(error)]


def polled() -> object:
    """As pools do, and drivers that wait by themselves (psycogreen)."""
    with opened() as sock:
        is_idle = is_tls or not gevent.select.select([sock], [], [], 0)[0]  # tickets of TLS may be there
        send(sock, "/polled")
        gevent.socket.wait_read(sock.fileno(), timeout=LIMIT_S)
        return [is_idle, read_until(sock, b"/polled")]


def without_waiting() -> object:
    with opened() as sock:
        sock.setblocking(False)
        send(sock, "/polled")
        while True:
            try:
                return sock.recv(65536).decode()
            except (BlockingIOError, ssl.SSLWantReadError):
                gevent.select.select([sock], [], [], LIMIT_S)


def file() -> object:
    with opened() as sock, sock.makefile("rwb") as both:
        both.write(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n")
        both.flush()
        return both.readline().decode()


def facts_of_tls() -> object:
    if not is_tls:
        return None
    with opened() as sock:
        send(sock, "/facts")
        read_until(sock, b"/facts")
        return [sock.version(), sock.cipher(), sock.selected_alpn_protocol(), sock.getpeercert()["subject"]]


def late_handshake() -> object:
    if not is_tls:
        return None
    plain = sockets.create_connection(("localhost", int(HTTPS_PORT)), timeout=LIMIT_S)
    with trust.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as sock:
        sock.do_handshake()
        send(sock, "/late")
        return read_until(sock, b"/late")


def tls_before_connect() -> object:
    if not is_tls:
        return None
    with trust.wrap_socket(sockets.socket(), server_hostname="localhost") as sock:
        sock.settimeout(LIMIT_S)
        sock.connect(("localhost", int(HTTPS_PORT)))
        send(sock, "/before")
        return read_until(sock, b"/before")


def tunnel() -> object:
    with sockets.create_connection(("127.0.0.1", int(PROXY_PORT)), timeout=LIMIT_S) as sock:
        sock.sendall(f"CONNECT localhost:{HTTPS_PORT} HTTP/1.1\r\n\r\n".encode())
        seen = read_until(sock, b"\r\n\r\n")
        with trust.wrap_socket(sock, server_hostname="localhost") as secured:
            send(secured, "/tunnel")
            return [seen, read_until(secured, b"/tunnel")]


# ---------------------------------------------------------------------- of clients, which need monkey patches


def with_http_client() -> object:
    return _asked_by(http.client)


def with_our_client() -> object:
    return _asked_by(client)


def _asked_by(module: Any) -> object:
    if is_tls:
        connection = module.HTTPSConnection("localhost", int(HTTPS_PORT), timeout=LIMIT_S, context=trust)
    else:
        connection = module.HTTPConnection("localhost", int(HTTP_PORT), timeout=LIMIT_S)
    seen = []
    for path in ("/a", "/b"):
        connection.request("GET", path)
        seen.append(connection.getresponse().read().decode())
    connection.close()
    return seen


def with_our_client_killed_in_a_read() -> object:
    connection = client.HTTPConnection("localhost", int(HTTP_PORT))
    connection.request("GET", "/silent")
    try:
        with gevent.Timeout(0.05):
            return connection.getresponse().status
    except gevent.Timeout:
        return "killed"
    finally:
        connection.close()


def with_requests() -> object:
    import requests

    with requests.Session() as session:
        session.trust_env, session.verify = False, f"{FOLDER}/ca.pem"

        def ask(path: str) -> str:
            return session.get(f"{origin()}{path}", timeout=LIMIT_S).text

        seen = [ask("/a"), ask("/b")]
        return seen + gevent.pool.Pool(8).map(ask, [f"/{number}" for number in range(16)])


def with_requests_through_a_proxy() -> object:
    import requests

    with requests.Session() as session:
        session.trust_env, session.verify = False, f"{FOLDER}/ca.pem"
        session.proxies = {"https": f"http://127.0.0.1:{PROXY_PORT}"}
        return [session.get(f"https://localhost:{HTTPS_PORT}/{number}", timeout=LIMIT_S).text for number in range(3)]


def with_httpx() -> object:
    import httpx

    with httpx.Client(verify=trust, trust_env=False) as session:
        seen = [session.get(f"{origin()}/{number}").text for number in range(3)]
        with session.stream("GET", f"{origin()}/stream") as answer:
            pieces = answer.iter_bytes()
            first, released = next(pieces), get("/release")
            return seen + [released, b"".join([first, *pieces]).decode()]


OF_BOTH: list[Callable[[], object]] = [
    *(one_after_another, while_another_waits, stream, one_reads_and_another_sends, eight_at_once),
    *(
        killed_in_a_read,
        killed_beside_others,
        timed_out,
        reset,
        polled,
        without_waiting,
        file,
        facts_of_tls,
        late_handshake,
        tls_before_connect,
    ),
]
OF_ONE: list[Callable[[], object]] = [refused, not_found, tunnel]
OF_CLIENTS: list[Callable[[], object]] = [
    *(with_http_client, with_our_client, with_our_client_killed_in_a_read, with_requests, with_httpx),
]


def run() -> dict[str, object]:
    global is_tls
    seen: dict[str, object] = {}
    for is_tls in (False, True):
        scenarios = OF_BOTH + (OF_CLIENTS if IS_PATCHED else [])
        if is_tls:
            scenarios = scenarios + OF_ONE + ([with_requests_through_a_proxy] if IS_PATCHED else [])
        for scenario in scenarios:
            name = f"{scenario.__name__} {'TLS' if is_tls else 'plain'}"
            try:
                with gevent.Timeout(LIMIT_S):
                    seen[name] = scenario()
            except BaseException as error:
                seen[name] = f"failed: {error!r}"
    return seen


def other_traffic() -> object:
    """A protocol that is not HTTP, whose server speaks first."""
    with sockets.create_connection(("127.0.0.1", int(OTHER_PORT)), timeout=LIMIT_S) as sock:
        gevent.socket.wait_read(sock.fileno(), timeout=LIMIT_S)
        seen = [sock.recv(100).decode()]
        sock.sendall(b"SELECT 1\n")
        return seen + [read_until(sock, b"\n")]


def named() -> str:
    with sockets.create_connection(("api.test", 80), timeout=LIMIT_S) as sock:
        sock.sendall(b"GET /known HTTP/1.1\r\nHost: api.test\r\n\r\n")
        return read_until(sock, b"\r\n\r\n")


def tell(**seen: object) -> None:
    print(json.dumps(seen), flush=True)


def main() -> None:
    tell(live=run(), other=other_traffic())
    with use_cassette(f"{FOLDER}/all.yaml", "all") as cassette:
        tell(recorded=run(), other=other_traffic(), interactions=len(cassette.recorded))
    with use_cassette(f"{FOLDER}/late.yaml", "new_episodes") as cassette:
        tell(recorded_late=run(), interactions=len(cassette.recorded))
    tell(live=run(), other=other_traffic())

    def in_a_greenlet(name: str, mode: Any) -> str:
        with use_cassette(f"{FOLDER}/{name}.yaml", mode) as cassette:
            gevent.sleep(0)
            seen = get(f"/of-{name}")
            gevent.sleep(0)
            return f"{len(cassette.recorded)} {seen}"

    tell(of_each=gevent.pool.Pool(4).map(lambda name: in_a_greenlet(name, "all"), "abcd"))
    sys.stdin.readline()
    for name in ("all", "late"):
        with use_cassette(f"{FOLDER}/{name}.yaml", "none"):
            tell(played=run())
    with use_cassette(f"{FOLDER}/names.yaml", "none"):
        tell(of_a_name_that_nobody_has=named())
    tell(of_each=gevent.pool.Pool(4).map(lambda name: in_a_greenlet(name, "none"), "abcd"))
    try:
        with use_cassette(f"{FOLDER}/all.yaml", "none"):
            get("/not-recorded")
    except UnmatchedRequest as error:
        tell(unmatched=str(error))


main()
