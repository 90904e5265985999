"""The rig itself: what it makes is there, its faults do what they say, and nothing of it is left. Root."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from rig import faults, network
from rig.layout import CHECKOUT, RigFolder, ip_of
from rig.namespaces import FOLDER, prefix
from rig.resident import ResidentRig
from rig.waiting import until

START_SECONDS = 90


@pytest.fixture(scope="module")
def fleet(new_resident_fleet: Callable[..., ResidentRig]) -> ResidentRig:
    return new_resident_fleet(2)


def connect_seconds(machine: str, address: str, port: int) -> float:
    """How long a TCP connection from a VPS takes; -1 when none comes about."""
    code = f"""import socket, time
s = time.monotonic()
try:
    socket.create_connection(({address!r}, {port}), 1).close()
    print(time.monotonic() - s)
except OSError:
    print(-1)"""
    done = subprocess.run([*prefix(machine), "python3", "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_a_vps_has_its_own_name_and_reaches_targets_and_servers(fleet: ResidentRig) -> None:
    said = subprocess.run([*prefix("cxvps2"), "hostname"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "cxvps2"
    assert connect_seconds("cxvps2", "10.77.200.200", 80) >= 0
    assert connect_seconds("cxvps2", ip_of("cxsrv0"), 5001) >= 0
    until(lambda: fleet.api.nodes() == {"cxvps1": "healthy", "cxvps2": "healthy"}, 10, fleet.api.nodes)


def test_the_counter_counts_each_probe_of_each_vps(fleet: ResidentRig) -> None:
    with fleet.capture() as capture:
        for machine, times in (("cxvps1", 3), ("cxvps2", 2)):
            for _ in range(times):
                connect_seconds(machine, "10.77.1.1", 443)
    assert (capture.probes.sent, capture.probes.distinct, capture.probes.repeated) == (5, 1, 4)
    assert capture.probes.by_source == {ip_of("cxvps1"): 3, ip_of("cxvps2"): 2}
    assert capture.dropped == 0


def test_a_vps_that_is_cut_off_reaches_the_targets_alone_until_it_is_healed(fleet: ResidentRig) -> None:
    faults.cut_off("cxvps1")
    try:
        assert connect_seconds("cxvps1", ip_of("cxsrv0"), 5001) == -1
        assert connect_seconds("cxvps1", "10.77.1.1", 80) >= 0
        assert connect_seconds("cxvps2", ip_of("cxsrv0"), 5001) >= 0
    finally:
        faults.heal("cxvps1")
    assert connect_seconds("cxvps1", ip_of("cxsrv0"), 5001) >= 0


def test_a_slowed_way_to_the_targets_takes_that_long(fleet: ResidentRig) -> None:
    faults.slow_down(fleet.processes, delay_ms=100, loss_percent=0)
    try:
        assert min(connect_seconds("cxvps1", "10.77.1.1", 80) for _ in range(3)) >= 0.1
    finally:
        faults.speed_up(fleet.processes)
    until(lambda: 0 <= connect_seconds("cxvps1", "10.77.1.1", 80) < 0.1, 10)


def test_a_full_disk_is_full_for_that_vps_alone(fleet: ResidentRig) -> None:
    faults.fill_disk("cxvps1")
    try:
        with pytest.raises(OSError, match="No space left"):
            (fleet.folder.disk_of("cxvps1") / "more").write_bytes(b"x" * 8192)
        (fleet.folder.disk_of("cxvps2") / "more").write_bytes(b"x" * 8192)
    finally:
        faults.free_disk("cxvps1")


def test_a_killed_vps_runs_nothing_and_a_revived_one_is_healthy_again(fleet: ResidentRig) -> None:
    faults.kill_vps("cxvps2")
    assert not network.processes_on("cxvps2")
    faults.revive_vps(fleet.processes, "cxvps2")
    until(lambda: connect_seconds("cxvps2", "10.77.1.1", 80) >= 0, 10)
    assert fleet.processes.is_running("cxvps2.worker")


def test_ctrl_c_and_a_start_after_kill_9_leave_nothing(fleet: ResidentRig, tmp_path: Path) -> None:
    fleet.stop()
    for end in (signal.SIGKILL, signal.SIGTERM):
        output = tmp_path / f"{end}.out"
        with open(output, "wb") as log:
            command = ["scripts/rig", "up", "--vpses", "2", "--kind", "resident"]
            rig = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(partial(_says_it_is_up, output), START_SECONDS, output.read_text)
        assert (RigFolder().env.stat().st_mode & 0o777) == 0o600
        rig.send_signal(end)
        rig.wait(60)
        time.sleep(0.2)
    assert not network.machines()
    assert not RigFolder().path.exists() and not RigFolder().machines.exists() and not FOLDER.exists()
    assert "cloudx-rig" not in Path("/proc/self/mountinfo").read_text()
    assert not [p for p in psutil.process_iter(["cmdline"]) if "/run/cloudx-rig" in " ".join(p.info["cmdline"] or ())]
    assert "cxbr0" not in network.run("iptables", "-S", "FORWARD") + network.run("ip", "link")


def _says_it_is_up(output: Path) -> bool:
    return "Ctrl-C here" in output.read_text()
