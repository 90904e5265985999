"""Run every benchmark in turn; prints one JSON line a figure and keeps them in build/bench.jsonl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ORDER = (
    "start",
    "worker_start",
    "wire_rate",
    "masscan_through_api",
    "nmap_defaults",
    "two_stages",
    "ingest",
    "nmap_parse",
    "result_pages",
    "export_xml",
    "diff_scans",
    "search_findings",
    "api_rates",
    "list_of_scans",
    "page",
    "beside_a_hog",
    "prune",
    "partitions",
    "figures",
    "find_probes",
    "plan_scan",
    "resolve_names",
    "plan_and_claim",
    "million_chunks",
    "waiting_workers",
    "events",
    "heartbeats",
    "simulate_fleet",
    "fleet_view",
    "dead_children",
    "dev_to_healthy",
    "fabio_latency",
    "submit_to_first_packet",
    "submit_to_first_packet --driver docker",
    "fleet_speedup",
    "prefix_cap",
    "fleet_speedup --kind nomad",
    "fleet_speedup --tool nmap",
    "vps_killed",
    "vps_killed --kind nomad",
    "soak",
)


def main() -> int:
    """The exit code: 1 when one of them could not be run."""
    kept = HERE.parent.parent / "build" / "bench.jsonl"
    kept.parent.mkdir(exist_ok=True)
    failed = []
    with open(kept, "w") as lines:
        for name in sys.argv[1:] or ORDER:
            program, *options = name.split()
            command = [sys.executable, "-P", "-m", f"bench.{program}", *options]
            run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert run.stdout is not None
            for line in run.stdout:
                print(line, end="", flush=True)
                lines.write(line)
            if run.wait() != 0:
                failed.append(name)
    if failed:
        print(f"error: not measured: {', '.join(failed)} (see above)", file=sys.stderr)
    print(f"kept in {kept}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
