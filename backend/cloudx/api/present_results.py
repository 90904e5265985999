"""The `results` of a scan as the frontend reads them: nmap's own document with plain keys, or hosts with ports."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from cloudx.domain.tools import Tool
from cloudx.services.ledger.records import FindingRow, HostRow
from cloudx.services.scans.results import InlineFindings

_SERVICE_EXTRAS = ("product", "version", "extrainfo")


def show_results(tool: Tool, findings: InlineFindings) -> dict[str, Any]:
    """The document of a scan that ran this tool."""
    by_host = {ip: list(rows) for ip, rows in groupby(findings.rows, key=lambda row: row.ip)}
    if tool is Tool.NMAP:
        return {"nmaprun": {"host": [show_nmap_host(host, by_host.get(host.ip, [])) for host in findings.hosts]}}
    return {"hosts": [_show_ports(ip, rows) for ip, rows in by_host.items()]}


def show_nmap_host(host: HostRow, rows: list[FindingRow]) -> dict[str, Any]:
    """One host as nmap's XML would read with plain keys."""
    return {
        "address": {"addr": host.ip, "addrtype": "ipv6" if ":" in host.ip else "ipv4"},
        "status": {"state": host.state},
        "hostnames": _show_names(host),
        "os": {"osmatch": [{"name": host.os_name}] if host.os_name else []},
        "ports": {"port": [_show_nmap_port(row) for row in rows]},
    }


def _show_names(host: HostRow) -> dict[str, Any]:
    """The one name that nmap's document has, and beside it all that the address was asked by, if several."""
    if not host.hostname:
        return {}
    several = {"names": host.extra["hostnames"]} if "hostnames" in host.extra else {}
    return {"hostname": {"name": host.hostname}} | several


def _show_nmap_port(row: FindingRow) -> dict[str, Any]:
    extras = {name: row.extra[name] for name in _SERVICE_EXTRAS if name in row.extra}
    service = {"name": row.service} | extras
    return {"portid": row.port, "protocol": row.protocol, "state": {"state": row.state}, "service": service}


def _show_ports(ip: str, rows: list[FindingRow]) -> dict[str, Any]:
    """A host with its ports; one that answered a ping (port 0) has none."""
    ports = [{"portid": row.port, "state": row.state} for row in rows if row.port]
    names = rows[0].extra.get("hostnames") or [name for name in (rows[0].hostname,) if name]
    return {"host": ip, "ports": ports} | ({"hostnames": names} if names else {})
