"""The rate on the wire beside the one that was granted, while a scan of several chunks lasts. Needs root.

One worker on a machine (network namespace) of its own, PostgreSQL, a target network that counts every
packet. Goals: at least 0.97 of the rate from the first packet to the last, and no second far above it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk
from fixtures.network import Network
from fixtures.postgres import new_server
from fixtures.service import CLOUDX, clean_environment
from fixtures.wire import Wire

# Nobody listens on this port: the targets' refusals are answered by nobody, so every packet is a probe.
PORT = "81"
CASES = (
    ("masscan", "10.77.0.0/17", 1_000),
    ("masscan", "10.77.0.0/16", 2_000),
    ("masscan", "10.77.0.0/16", 4_000),
    ("zmap", "10.77.0.0/16", 2_000),
)


def scan_once(desk: Desk, network: Network, folder: str, url: str, case: tuple[str, str, int]) -> dict[str, object]:
    """One scan by one worker; what the wire says of it."""
    tool, target, rate_pps = case
    desk.register("node-1")
    scan = desk.submit(target, tool=tool, ports=PORT, rate_pps=rate_pps)
    environment = clean_environment(
        DATABASE_URL=url, CLOUDX_DATA_DIR=folder, NODE_ID="node-1", CLOUDX_EXECUTOR="nomad", CLOUDX_LOG_FORMAT="json"
    )
    with Wire(network) as wire, open(f"{folder}/log", "ab") as log:
        with network.inside():
            worker = subprocess.Popen([*CLOUDX, "worker", "--scan", scan.id], env=environment, stderr=log)
        try:
            code = worker.wait(60 + 3 * scan.planned_units / rate_pps)
        finally:
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
        "name": f"wire_rate_{tool}_{rate_pps}",
        "value": round(wire.between(first - 0.01, last) / (last - first) / rate_pps, 3),
        "unit": "of the granted rate",
        "goal": "≥ 0.97",
        "seconds": round(last - first, 2),
        "chunks": shown.tally.chunks_done,
        "longest_gap_seconds": round(wire.longest_gap(first, last), 2),
        "busiest_second": round(wire.highest_rate(first, last, 1.0) / rate_pps, 3),
        "probes_repeated": max(
            0, wire.between(first - 0.01, last) - scan.planned_units - int(10 * (last - first)) - 20
        ),
    }


def main() -> None:
    """Each case once."""
    network, postgres = Network(), new_server()
    wanted = [case for case in CASES if not sys.argv[1:] or f"{case[0]}_{case[2]}" in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        try:
            network.build()
            postgres.execute("CREATE DATABASE bench")
            engine = engine_for(postgres.url_of("bench"))
            upgrade(engine)
            ensure_first_scope(open_ledger_on(engine))
            desk = Desk(open_ledger_on(engine), engine)
            for case in wanted:
                line = scan_once(desk, network, folder, postgres.socket_url_of("bench"), case)
                print(json.dumps(line, ensure_ascii=False), flush=True)
            engine.dispose()
        finally:
            network.remove()
            postgres.remove()


if __name__ == "__main__":
    main()
