"""nmap XML to findings, beside a bare lxml loop over the same file. `scripts/bench nmap_parse [MEGABYTES]`.

One JSON line a figure: seconds and peak resident memory of each, in a process of
its own, then the ratio (goal: ours at least half as fast, and flat memory).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = '<?xml version="1.0"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner="nmap" version="7.93" xmloutputversion="1.05">\n'
TAIL = '<runstats><finished time="1795538480" exit="success"/></runstats>\n</nmaprun>\n'
# Both shapes as nmap 7.93 wrote them: a host of a default scan, and one of an intense scan.
HOST = (
    '<host starttime="1795538472" endtime="1795538480"><status state="up" reason="echo-reply" reason_ttl="64"/>\n'
    '<address addr="10.{a}.{b}.{c}" addrtype="ipv4"/>\n<hostnames>\n</hostnames>\n<ports>{ports}</ports>\n{os}'
    '<times srtt="312" rttvar="88" to="100000"/>\n</host>\n'
)
CLOSED = (
    '<extraports state="closed" count="995">\n<extrareasons reason="reset" count="995" proto="tcp" ports="1,3-4,6-7,9,'
    '13,17,19-20,24-26,30,32-33,37,42-43,49,53,70,79,81-85,88-90,99-100,106,109-111,113,119,125,135,139,143-144"/>\n'
    "</extraports>\n"
)
STATE = '<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="64"/>'
PLAIN_PORT = STATE + '<service name="http" method="table" conf="3"/></port>\n'
RICH_PORT = STATE + (
    '<service name="http" product="nginx" version="1.22.1" method="probed" conf="10">'
    "<cpe>cpe:/a:igor_sysoev:nginx:1.22.1</cpe></service>"
    '<script id="http-title" output="Welcome to nginx!"><elem key="title">Welcome to nginx!</elem></script></port>\n'
)
MATCH = (
    '<osmatch name="Linux {n}.15 - 5.6" accuracy="93" line="67238">\n'
    '<osclass type="general purpose" vendor="Linux" osfamily="Linux" osgen="4.X" accuracy="93">'
    "<cpe>cpe:/o:linux:linux_kernel:4</cpe></osclass>\n"
    '<osclass type="general purpose" vendor="Linux" osfamily="Linux" osgen="5.X" accuracy="93">'
    "<cpe>cpe:/o:linux:linux_kernel:5</cpe></osclass>\n</osmatch>\n"
)
OS = (
    '<os><portused state="open" proto="tcp" portid="443"/>\n<portused state="closed" proto="udp" portid="44242"/>\n'
    + "".join(MATCH.format(n=n) for n in range(5))
    + '</os>\n<uptime seconds="23" lastboot="Tue Nov 24 16:51:54 2026"/>\n<distance value="1"/>\n'
    '<tcpsequence index="259" difficulty="Good luck!" values="9C35D126,7AD47D58,C50CEAB8,35E0B08A,C7E3FA01"/>\n'
    '<ipidsequence class="All zeros" values="0,0,0,0,0,0"/>\n<trace port="443" proto="tcp">\n'
    '<hop ttl="1" ipaddr="10.77.3.3" rtt="0.04"/>\n</trace>\n'
)
OPEN_PORTS = (22, 80, 443, 8080, 8443)
PLAIN = CLOSED + "".join(PLAIN_PORT.format(port=port) for port in OPEN_PORTS)
RICH = CLOSED + "".join(RICH_PORT.format(port=port) for port in OPEN_PORTS)


def write_xml(file: Path, megabytes: int) -> int:
    """A file of about this size; how many hosts it has."""
    hosts = 0
    with open(file, "w", encoding="ascii") as out:
        out.write(HEAD)
        while hosts % 1000 or out.tell() < megabytes << 20:
            ports, os = (RICH, OS) if hosts % 2 else (PLAIN, "")
            out.write(HOST.format(a=hosts >> 16 & 255, b=hosts >> 8 & 255, c=hosts & 255, ports=ports, os=os))
            hosts += 1
        out.write(TAIL)
    return hosts


def parse_ours(file: Path) -> int:
    """What the product does with it; how many findings."""
    from cloudx.scanners.nmap.xml import read_findings

    return sum(1 for _ in read_findings(file))


def parse_bare(file: Path) -> int:
    """The least that an lxml loop with flat memory can do; how many hosts."""
    from lxml import etree

    hosts = 0
    for _, element in etree.iterparse(str(file), events=("end",), tag="host"):
        hosts += 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return hosts


def measure(what: str, file: Path) -> dict[str, float]:
    """Run one of the two in a process of its own."""
    done = subprocess.run([sys.executable, __file__, what, str(file)], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def child(what: str, file: Path) -> None:
    """Parse, then say how long it took and what it needed."""
    began = time.perf_counter()
    count = {"ours": parse_ours, "bare": parse_bare}[what](file)
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 3), "peak_rss_mb": round(peak_mb, 1), "count": count}))


def main() -> None:
    """Measure both, turn about, and the ratio of their best times."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory(prefix="cloudx-bench-") as folder:
        file = Path(folder) / "scan.xml"
        hosts = write_xml(file, megabytes)
        runs: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
        for what in ("bare", "ours", "bare", "ours"):
            runs[what].append(measure(what, file))
    best = {what: min(run["seconds"] for run in measured) for what, measured in runs.items()}
    for what, measured in runs.items():
        peak = max(run["peak_rss_mb"] for run in measured)
        line = {"bench": f"nmap_parse_{what}", "seconds": best[what], "peak_rss_mb": peak, "megabytes": megabytes}
        print(json.dumps(line | {"hosts": hosts}))
    print(json.dumps({"bench": "nmap_parse_ratio", "ratio": round(best["bare"] / best["ours"], 3), "goal": 0.5}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
