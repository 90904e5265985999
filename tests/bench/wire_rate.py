"""The rate on the wire beside the one that was granted, while a scan of several chunks lasts. Needs root.

One or two workers, each on a machine (network namespace) of its own, PostgreSQL, a target network that counts
every packet. Goals: at least 0.97 of the rate from the first packet to the last, and no second far above it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk
from fixtures.servers.network import ExtraMachine, Network
from fixtures.servers.postgres import new_server
from fixtures.servers.service import CLOUDX
from fixtures.wire import Wire
from rig.environment import clean_environment

# Nobody listens on this port: the targets' refusals are answered by nobody, so every packet is a probe.
PORT = "81"
WIRES = ("eth0", "eth1")
CASES = (
    ("masscan", "10.77.0.0/17", 1_000, 1),
    ("masscan", "10.77.0.0/16", 2_000, 1),
    ("masscan", "10.77.0.0/16", 4_000, 2),
    ("zmap", "10.77.0.0/16", 2_000, 1),
)


def scan_once(
    desk: Desk, machines: list[Network], folder: str, url: str, case: tuple[str, str, int, int]
) -> dict[str, object]:
    """One scan by so many workers; what the wires say of it."""
    tool, target, rate_pps, count = case
    for number in range(1, count + 1):
        desk.register(f"node-{number}")
    scan = desk.submit(target, tool=tool, ports=PORT, rate_pps=rate_pps)
    with Wire(machines[0], *WIRES[:count]) as wire, open(f"{folder}/log", "ab") as log:
        workers = []
        for number, machine in enumerate(machines[:count], start=1):
            environment = clean_environment(
                DATABASE_URL=url,
                CLOUDX_DATA_DIR=f"{folder}/{number}",
                NODE_ID=f"node-{number}",
                CLOUDX_EXECUTOR="nomad",
                CLOUDX_LOG_FORMAT="json",
            )
            with machine.inside():
                workers.append(subprocess.Popen([*CLOUDX, "worker", "--scan", scan.id], env=environment, stderr=log))
        try:
            code = max(worker.wait(60 + 3 * scan.planned_units / rate_pps) for worker in workers)
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.send_signal(signal.SIGINT)
                    worker.wait(20)
        time.sleep(0.1)
    assert code == 0, Path(f"{folder}/log").read_text()[-3000:]
    shown = desk.show(scan)
    assert shown.coverage.completed == scan.planned_units, shown.coverage
    first, last = wire.first_packet(), wire.last_packet()
    assert first is not None and last is not None
    return {
        "name": f"wire_rate_{tool}_{rate_pps}_by_{count}",
        "value": round(wire.between(first - 0.01, last) / (last - first) / rate_pps, 3),
        "unit": "of the granted rate",
        "goal": "≥ 0.97",
        "seconds": round(last - first, 2),
        "chunks": shown.tally.chunks_done,
        "longest_gap_seconds": round(wire.longest_gap(first, last), 2),
        "busiest_second": round(wire.highest_rate(first, last, 1.0) / rate_pps, 3),
    }


def main() -> None:
    """Each case once."""
    network, postgres = Network(), new_server()
    extra = ExtraMachine(network, 1)
    wanted = [case for case in CASES if not sys.argv[1:] or f"{case[0]}_{case[2]}" in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        try:
            network.build()
            extra.build()
            postgres.execute("CREATE DATABASE bench")
            engine = engine_for(postgres.url_of("bench"))
            upgrade(engine)
            ensure_first_scope(open_ledger_on(engine))
            desk = Desk(open_ledger_on(engine), engine)
            for case in sorted(wanted, key=lambda case: case[3]):  # a node that is registered counts in every share
                line = scan_once(desk, [network, extra], folder, postgres.socket_url_of("bench"), case)
                print(json.dumps(line, ensure_ascii=False), flush=True)
            engine.dispose()
        finally:
            extra.remove()
            network.remove()
            postgres.remove()


if __name__ == "__main__":
    main()
