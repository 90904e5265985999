"""nmap's options for each scan type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudx.domain.port_set import PortSet
from cloudx.services.chunks.scanner_port import Assignment

if TYPE_CHECKING:
    from .udp_passes import Again

STATS_MILLISECONDS = 500
# A chunk's hosts go through each phase together, so that a phase's percentage is the chunk's.
_HOST_GROUP = 256
# Beyond nmap's own four probes (ICMP echo and timestamp, SYN 443, ACK 80): hosts that drop those
# but serve something common. A dead address costs a second instead of minutes of -Pn.
_DISCOVERY_PORTS = "21,22,25,53,80,135,139,443,445,3389,8080,8443"
_MAX_SCAN_DISCOVERY_PORTS = 16
_PORTS_OF_TYPE = {
    "default": ["--top-ports", "1000"],
    "quick": ["--top-ports", "100"],
    "intense": ["--top-ports", "1000"],
    "tcp": ["--top-ports", "1000"],
    "udp": ["--top-ports", "100"],  # closed UDP ports answer once a second: 1000 would take a quarter of an hour a host
    "full": ["-p", "1-65535"],
    "vuln": ["--top-ports", "1000"],
}
# Not the whole category: dos scripts bring targets down, broadcast ones leave the targets,
# external ones tell third parties who is being scanned.
_VULN_SCRIPTS = "vuln and not (dos or broadcast or external)"
# -sC without what makes a target talk to somebody else: http-open-proxy and socks-open-proxy (external) fetch a page
# through it, ftp-bounce (safe, says nmap) has it connect to another machine.
_DEFAULT_SCRIPTS = "default and not (dos or broadcast or external or ftp-bounce)"
_AGAIN_DELAY, _AGAIN_RETRIES = "1100ms", "2"
_SCRIPT_LIMIT = ["--script-timeout", "5m"]


def options(assignment: Assignment) -> list[str]:
    """All options but input and output, of typed fields alone."""
    # -v puts tasks and down hosts into the XML. No --noninteractive: with it nmap 7.93 reports no
    # progress at all, and without a terminal it has none to read from anyway.
    argv = ["-n", "-v", "--stats-every", f"{STATS_MILLISECONDS}ms", "-T4"]
    argv += ["--privileged" if assignment.raw_sockets else "--unprivileged"]
    if assignment.addresses.ipv4_size == 0:
        argv.append("-6")
    if assignment.max_retries is not None:
        argv += ["--max-retries", str(assignment.max_retries)]
    argv += ["--max-rate", _max_rate(assignment), "--min-hostgroup", str(_HOST_GROUP)]
    argv += _timeout(assignment) + _discovery(assignment) + _technique(assignment)
    return argv + (["-p", str(assignment.ports)] if assignment.ports else _PORTS_OF_TYPE[assignment.scan_type.name])


def options_again(assignment: Assignment, again: Again) -> list[str]:
    """For a further pass over UDP ports: no faster than a limiter of one answer a second lets them be told of."""
    argv = ["-n", "-v", "--stats-every", f"{STATS_MILLISECONDS}ms", "-T3", "--privileged"]
    if assignment.addresses.ipv4_size == 0:
        argv.append("-6")
    argv += ["--max-rate", _max_rate(assignment), "-Pn", "-sU", "-p", str(again.ports)]
    argv += [*_timeout(assignment), "--scan-delay", _AGAIN_DELAY, "--max-retries", _AGAIN_RETRIES]
    return argv + (["--max-hostgroup", "1"] if again.one_at_a_time else ["--min-hostgroup", str(_HOST_GROUP)])


def _timeout(assignment: Assignment) -> list[str]:
    return ["--host-timeout", f"{assignment.timeout_seconds}s"] if assignment.timeout_seconds is not None else []


def _max_rate(assignment: Assignment) -> str:
    """nmap's own packets a second: of an asked rate what leaves room for the kernel's.

    The kernel resets each connection that answers a SYN (two packets a probe) and tells of no port for each UDP answer;
    a connect() that succeeds is a SYN, an ACK and a reset.
    """
    if not assignment.is_rate_asked:
        return str(assignment.rate_pps)
    is_connect = assignment.scan_type.name == "tcp" or not assignment.raw_sockets
    probes_pps = assignment.rate_pps / (3 if is_connect else 2)
    # One less: a second that begins with a probe may end with one.
    return f"{max(probes_pps - 1, probes_pps / 2):.3f}"


def _technique(assignment: Assignment) -> list[str]:
    name, raw = assignment.scan_type.name, assignment.raw_sockets
    if name == "udp":
        return ["-sU"]
    # The `tcp` type completes its handshakes: what it calls open has really accepted.
    argv = ["-sS"] if raw and name != "tcp" else ["-sT"]
    if assignment.ports is not None and assignment.ports.udp_ranges:
        argv = [*argv, "-sU"] if assignment.ports.ranges else ["-sU"]
    if name == "intense":  # -A, spelt out, since two of its four parts need raw sockets
        return [*argv, "-sV", "--script", _DEFAULT_SCRIPTS, *_SCRIPT_LIMIT, *(["-O", "--traceroute"] if raw else [])]
    if name == "vuln":
        return [*argv, "-sV", "--script", _VULN_SCRIPTS, *_SCRIPT_LIMIT]
    return argv


def _discovery(assignment: Assignment) -> list[str]:
    """Which hosts are up. The one address of a short scan is scanned in any case: somebody named it."""
    if assignment.are_known_open:
        return ["-Pn"]
    if (
        assignment.is_whole_scan
        and assignment.addresses.size == 1
        and assignment.scan_type.name in ("default", "quick", "tcp", "intense")
    ):
        return ["-Pn"]
    probed = _DISCOVERY_PORTS
    if assignment.ports is not None and assignment.scan_type.protocol == "tcp":
        scan_ports = assignment.ports.slice(0, _MAX_SCAN_DISCOVERY_PORTS)
        probed = str(PortSet.of([*PortSet.parse(probed).ranges, *scan_ports.ranges]))
    return ["-PE", f"-PS{probed}", "-PA80,443"] if assignment.raw_sockets else [f"-PS{probed}"]
