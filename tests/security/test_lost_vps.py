"""A VPS that lost its data comes back under its name with a new node id. Real Nomad: a server and clients that die."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudx.cluster.adapters.nomad_jobs import NomadMachines
from cloudx.cluster.drain import DrainNode, has_drained
from cloudx.domain.errors import InvalidInput
from fixtures.servers.cluster_servers import DevServer, NomadServer, quiet_port, server_path
from rig.waiting import until

NAME = "vps3"


class Vps:
    """A Nomad client of this name, with a data folder of its own."""

    def __init__(self, server: NomadServer, folder: Path) -> None:
        folder.mkdir()
        config = {
            "name": NAME,
            "disable_update_check": True,
            "data_dir": str(folder / "data"),
            "bind_addr": "127.0.0.1",
            "advertise": dict.fromkeys(("http", "rpc", "serf"), "127.0.0.1"),
            "ports": {"http": quiet_port(), "rpc": quiet_port(), "serf": quiet_port()},
            "client": {
                "enabled": True,
                "servers": [f"127.0.0.1:{server._ports['rpc']}"],
                "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"},
            },
            "consul": {"address": "127.0.0.1:1"},
        }
        (folder / "client.json").write_text(json.dumps(config))
        agent = [server_path("nomad"), "agent", "-config", str(folder / "client.json")]
        command = ["setpriv", "--pdeathsig", "KILL", *agent]
        with open(folder / "log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def lose_power(self) -> None:
        """It and its data are gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)


@pytest.fixture
def own_nomad() -> Iterator[NomadServer]:
    """One whose machines come and go."""
    with tempfile.TemporaryDirectory(prefix="cxlost-") as folder:
        running = NomadServer(Path(folder))
        running.start()
        yield running
        DevServer.stop(running)


def ids(nomad: NomadServer, status: str) -> list[str]:
    """The machines of that name in this state."""
    return [node["ID"] for node in nomad.call("GET", "/v1/nodes") if (node["Name"], node["Status"]) == (NAME, status)]


def test_drain_by_name_takes_the_machine_that_lives(own_nomad, tmp_path):
    drains = DrainNode(NomadMachines(own_nomad.url, None))
    before = Vps(own_nomad, tmp_path / "before")
    try:
        until(lambda: ids(own_nomad, "ready"), 120)
        (old,) = ids(own_nomad, "ready")
        before.lose_power()
        after = Vps(own_nomad, tmp_path / "after")
        try:
            until(lambda: ids(own_nomad, "down") == [old] and len(ids(own_nomad, "ready")) == 1, 180)
            (new,) = ids(own_nomad, "ready")
            machine = drains.find(NAME)
            assert machine.id == new != old
            assert has_drained(drains.drain(machine, 5, lambda _: None))
            assert drains.find(old).id == old, "by its whole id the dead one is still to be had"
        finally:
            after.lose_power()
        until(lambda: len(ids(own_nomad, "down")) == 2, 180)
        with pytest.raises(InvalidInput, match="whole id"):
            drains.find(NAME)
    finally:
        before.lose_power()
