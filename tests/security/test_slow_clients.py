"""One greedy client, which holds connections: the real gunicorn keeps its places for those who use them."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN, Gunicorn
from fixtures.slow_client import SlowClient
from rig.waiting import until

PATIENCE_SECONDS = 120
PLACES = 1000  # of one gunicorn worker
HALF = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HEALTH = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def body_of(size: int, token: str = NODE_TOKEN, path: str = "/api/nodes/heartbeat") -> bytes:
    """The headers of a POST with a body of this size."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def trickle(client: SlowClient, pause_seconds: float = 0.5) -> Callable[[], bool]:
    """Says one more byte each time it is asked whether the server has cut the connection."""

    def is_cut() -> bool:
        time.sleep(pause_seconds)
        return not client.say(b"x")

    return is_cut


def test_headers_that_come_byte_by_byte_are_cut(shared_gunicorn):
    with SlowClient(shared_gunicorn.port) as client:
        client.say(HALF)
        until(trickle(client), PATIENCE_SECONDS)


def test_a_connection_that_never_says_anything_is_cut(shared_gunicorn):
    with SlowClient(shared_gunicorn.port) as client:
        until(client.is_cut, PATIENCE_SECONDS)


def test_a_body_that_comes_byte_by_byte_is_cut_and_its_sender_told(shared_gunicorn):
    with SlowClient(shared_gunicorn.port) as client:
        client.say(body_of(60_000))
        until(trickle(client), PATIENCE_SECONDS)
        assert client.status() == 400 and b"did not arrive whole" in client.heard


def test_a_body_in_pieces_with_pauses_is_served(shared_gunicorn):
    body = b'{"node_id": "vps1", "updated_at": "2026-01-01T00:00:00Z"}'
    with SlowClient(shared_gunicorn.port) as client:
        client.say(body_of(len(body)))
        for start in range(0, len(body), 20):
            time.sleep(1)
            assert client.say(body[start : start + 20])
        until(client.status, PATIENCE_SECONDS)
        assert client.status() == 200


def test_a_connection_that_rests_between_two_requests_is_kept(shared_gunicorn):
    """A proxy's: longer than headers may take."""
    with SlowClient(shared_gunicorn.port) as client:
        for _ in range(2):
            client.heard = b""
            client.say(HEALTH)
            until(client.status, PATIENCE_SECONDS)
            assert client.status() == 200
            time.sleep(13)
            assert not client.is_cut()


def test_an_answer_that_nobody_takes_is_cut(shared_gunicorn):
    asked = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with SlowClient(shared_gunicorn.port, receive_buffer=4096) as client:
        client._socket.sendall(asked * 200)  # over 10 MB of answers, more than any socket's buffer holds
        until(lambda: connected(shared_gunicorn, client.own_port), PATIENCE_SECONDS)
        until(lambda: not connected(shared_gunicorn, client.own_port), PATIENCE_SECONDS)


def connected(server: Gunicorn, client_port: int) -> bool:
    """Whether a process of the server still holds the connection of this client."""
    return any(
        connection.raddr and connection.raddr.port == client_port
        for process in server.master.children(recursive=True)
        for connection in process.net_connections("tcp")
    )


@contextlib.contextmanager
def holding(port: int, count: int, opening: bytes) -> Iterator[list[int]]:
    """So many connections, each of which says a byte now and then and comes back when cut; how often they were."""
    ended = threading.Event()
    cut = [0]

    def hold(share: int) -> None:
        clients: list[SlowClient] = []
        while not ended.is_set():
            alive = [client for client in clients if client.say(b"x")]
            cut[0] += len(clients) - len(alive)
            for client in set(clients) - set(alive):
                client.close()
            clients = alive
            with contextlib.suppress(OSError):
                for _ in range(share - len(clients)):
                    clients.append(SlowClient(port))
                    clients[-1].say(opening)
            ended.wait(1)
        for client in clients:
            client.close()

    enough, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(enough, min(count + 1000, most)), most))
    holders = [threading.Thread(target=hold, args=(count // 4,)) for _ in range(4)]
    for holder in holders:
        holder.start()
    try:
        yield cut
    finally:
        ended.set()
        for holder in holders:
            holder.join()


@pytest.mark.parametrize(
    "opening", [HALF, body_of(60_000, ADMIN_TOKEN, "/api/scopes"), HEALTH + HALF], ids=["headers", "bodies", "idle"]
)
def test_more_slow_clients_than_there_are_places_keep_nobody_out(new_gunicorn, opening):
    server = new_gunicorn(WEB_CONCURRENCY="1")
    with holding(server.port, PLACES + 150, opening) as cut:
        until(lambda: cut[0] > 150, PATIENCE_SECONDS, lambda: cut)  # all places were taken, and more wanted one
        for _ in range(20):
            assert server.get("/api/scans").status_code == 200  # each with a connection of its own
    assert psutil.pid_exists(server.master.pid)


def test_a_newcomer_is_served_though_every_place_is_held_by_a_client_that_may_still_rest(new_gunicorn):
    """Time limits alone would let him wait until the first of them is over."""
    server = new_gunicorn(WEB_CONCURRENCY="1")
    enough, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(enough, min(PLACES + 1000, most)), most))
    resting: list[SlowClient] = []
    try:
        for _ in range(PLACES + 150):
            resting.append(SlowClient(server.port))
            resting[-1].say(HEALTH)
        assert server.get("/api/scans").status_code == 200
        kept = [client for client in resting if not client.is_cut()]
        assert len(kept) > PLACES // 2
    finally:
        for client in resting:
            client.close()
