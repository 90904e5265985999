"""What a machine can send is measured on it, once a boot, and nothing of it leaves the machine. Needs root."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

from cloudx.adapters.machine.disk_space import NEEDED_BYTES, disk_check
from cloudx.adapters.machine.send_rate import SendRate
from cloudx.domain.nodes import CheckStatus
from fixtures.servers.network import Network
from fixtures.wire import Wire

WRITTEN = "send-rate.json"


def measured(folder: Path) -> SendRate:
    rate = SendRate(folder / "fallback", boot_folder=folder / "boot")
    rate.measure()
    return rate


def test_a_measure_sends_nothing_to_any_network(network: Network, tmp_path: Path) -> None:
    with Wire(network) as wire, network.inside():
        found = measured(tmp_path).on("eth0")
    assert found.measured_pps is not None and found.measured_pps > 2_000, found
    assert wire.total < 20, "some of what was measured was sent to the targets"
    assert (found.link, found.problem) == ("eth0", "")


def test_it_is_measured_once_a_boot_however_many_ask_at_once(tmp_path: Path) -> None:
    rates = [SendRate(tmp_path / "fallback", boot_folder=tmp_path / "boot") for _ in range(3)]
    threads = [threading.Thread(target=rate.measure) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({rate.on(None).measured_pps for rate in rates}) == 1
    kept = tmp_path / "boot" / WRITTEN
    before = kept.stat().st_ino
    assert measured(tmp_path).on(None).measured_pps == rates[0].on(None).measured_pps
    assert kept.stat().st_ino == before
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"boot_id": "another"}))
    measured(tmp_path)
    assert json.loads(kept.read_text())["boot_id"] != "another"


def test_a_machine_without_raw_sockets_says_why_it_cannot_measure(tmp_path: Path) -> None:
    source = (
        "import sys; from pathlib import Path; from cloudx.adapters.machine.send_rate import SendRate\n"
        "rate = SendRate(Path(sys.argv[1]), boot_folder=Path('/proc/none')); rate.measure(); print(rate.on(None))"
    )
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]
    done = subprocess.run(
        [*without, sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert "a raw socket on the loopback interface does not work" in done.stdout


def test_a_disk_is_full_while_too_little_is_free_and_well_again_afterwards(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = NEEDED_BYTES + (8 << 20)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=True)
    try:
        assert disk_check(disk / "not" / "there" / "yet").status is CheckStatus.PASSING
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(16 << 20))
        check = disk_check(disk)
        assert (check.status, "Free some space" in check.output) == (CheckStatus.CRITICAL, True)
        ballast.unlink()
        assert disk_check(disk).status is CheckStatus.PASSING
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
