"""An answer that dies on its way: the command line loses no scan by it and makes no second one."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN
from fixtures.servers.fabio import FabioServer
from fixtures.servers.gunicorn import ADMIN_TOKEN, Gunicorn
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class LossyWay:
    """A way to the API on which the first answers die, after the API has given them: a TCP relay as a proxy is one.

    `instead` tells what the client gets instead: "nothing", "half" of the answer, or the proxy's own "502".
    """

    def __init__(self, server: Gunicorn, dying: int, instead: str) -> None:
        self._server_port = server.port
        self._dying = dying
        self._instead = instead
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with closing(client):
                self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        """One request and its answer; the client's next request has a connection of its own."""
        request = _whole(client)
        if not request:
            return
        self.asked += 1
        head, separator, body = request.partition(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self._server_port)) as server:
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + separator + body)
            answer = b"".join(iter(lambda: server.recv(65536), b""))
        if self.asked > self._dying:
            client.sendall(answer)
        elif self._instead == "half":
            client.sendall(answer[: len(answer) - 10])
        elif self._instead == "502":
            client.sendall(BAD_GATEWAY)

    def close(self) -> None:
        """No more connections."""
        self._listener.close()


def _whole(client: socket.socket) -> bytes:
    """A request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def new_path(shared_gunicorn: Gunicorn) -> Iterator[Callable[..., LossyWay]]:
    """Makes such ways."""
    made: list[LossyWay] = []

    def make(dying: int, instead: str = "nothing") -> LossyWay:
        made.append(LossyWay(shared_gunicorn, dying, instead))
        return made[-1]

    yield make
    for path in made:
        path.close()


def cloudx(path: LossyWay | FabioServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command over that way."""
    environment = clean_environment(CLOUDX_URL=path.url, CLOUDX_TOKEN=ADMIN_TOKEN)
    return subprocess.run([*CLOUDX, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def scans_named(server: Gunicorn, name: str) -> list[str]:
    """The ids of the scans of this name."""
    return [scan["job_id"] for scan in server.get("/api/scans").json() if scan["name"] == name]


@pytest.mark.parametrize("instead", ["nothing", "half", "502"])
@pytest.mark.parametrize("dying", [1, 2])
def test_a_submit_whose_answer_dies_is_one_scan_and_its_id_is_told(shared_gunicorn, new_path, instead, dying):
    path = new_path(dying, instead)
    name = f"dies {dying} times as {instead}"
    ended = cloudx(path, "scan", "127.0.0.1", "--ports", "80", "--name", name, "--no-wait", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(ended.stdout)["job_id"]] == scans_named(shared_gunicorn, name)
    assert path.asked == dying + 1


@pytest.mark.parametrize("instead", ["nothing", "half", "502"])
@pytest.mark.parametrize("command", [("scans", "--json"), ("nodes", "--json"), ("show", "last", "--json")])
def test_a_command_that_reads_asks_again_at_once(shared_gunicorn, new_path, instead, command):
    cloudx(new_path(0), "scan", "127.0.0.1", "--ports", "80", "--no-wait")
    ended = cloudx(new_path(1, instead), *command)
    assert ended.returncode == 0 and json.loads(ended.stdout)


def test_a_stop_whose_answer_dies_is_asked_for_again(shared_gunicorn, new_path):
    submitted = cloudx(new_path(0), "scan", "127.0.0.1", "--ports", "80", "--no-wait", "--json")
    assert submitted.returncode == 0, submitted.stderr
    scan = json.loads(submitted.stdout)["job_id"]
    path = new_path(1)
    assert cloudx(path, "stop", scan).returncode == 0 and path.asked == 2
    assert shared_gunicorn.get(f"/api/scans/{scan}").json()["status"] == "stopped"


@pytest.mark.parametrize("instead", ["nothing", "half"])
def test_behind_a_real_fabio_too_a_submit_whose_answer_dies_is_one_scan(
    shared_gunicorn, new_path, new_consul, new_fabio, instead
):
    path, consul = new_path(1, instead), new_consul()
    service = {"ID": "api", "Service": "cloudx-backend", "Address": "127.0.0.1", "Port": path.port}
    check = {"CheckID": "ready", "Name": "ready", "ServiceID": "api", "Status": "passing"}
    body = {"Node": "control", "Address": "127.0.0.1", "Service": service | {"Tags": ["urlprefix-/"]}, "Check": check}
    consul.call("PUT", "/v1/catalog/register", body)
    fabio = new_fabio(consul, MANAGEMENT_TOKEN)
    until(fabio.routes, 20)
    name = f"dies behind Fabio as {instead}"
    ended = cloudx(fabio, "scan", "127.0.0.1", "--ports", "80", "--name", name, "--no-wait", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(ended.stdout)["job_id"]] == scans_named(shared_gunicorn, name)
    assert path.asked == 2


def test_what_would_be_made_twice_is_not_repeated_and_the_command_says_so(shared_gunicorn, new_path):
    path = new_path(1)
    ended = cloudx(path, "tokens", "add", "once", "--role", "viewer")
    assert ended.returncode == 1 and path.asked == 1
    assert "closed the connection before its answer was whole" in ended.stderr
    assert [made["name"] for made in shared_gunicorn.get("/api/tokens").json()].count("once") == 1


def test_where_every_answer_dies_the_command_ends_with_a_sentence(new_path):
    path = new_path(1000)
    ended = cloudx(path, "scans")
    assert ended.returncode == 1 and path.asked == 3
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
