"""The `results` of a scan as the frontend reads them: nmap's own document with plain keys, or hosts with ports."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from cloudx.domain.tools import Tool
from cloudx.services.ledger.records import FindingRow, HostRow

from .inline import InlineFindings

_SERVICE_EXTRAS = ("product", "version", "extrainfo")
_ZLIB_LEVEL = 1  # lists of ports shrink tenfold already, and every process of the API reads them over the wire


@dataclass(frozen=True)
class ResultsDocument:
    """A document as JSON, or None where there is none to show; `truncated`: more is at the results URL."""

    json: bytes | None
    truncated: bool = False

    @property
    def size(self) -> int:
        """Its bytes in an answer."""
        return len(self.json or b"")


def pack(json: bytes) -> bytes:
    """The form in which the ledger keeps a document."""
    return zlib.compress(json, _ZLIB_LEVEL)


def unpack(packed: bytes) -> bytes:
    """The inverse of `pack`."""
    return zlib.decompress(packed)


def make_document(tool: Tool, findings: InlineFindings) -> ResultsDocument:
    """The document of a scan that ran this tool."""
    return ResultsDocument(orjson.dumps(show_results(tool, findings)), findings.truncated)


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
    return {"portid": row.port, "protocol": row.protocol, "state": {"state": row.state}, "service": _show_service(row)}


def _show_service(row: FindingRow) -> dict[str, Any]:
    return {"name": row.service} | {name: row.extra[name] for name in _SERVICE_EXTRAS if name in row.extra}


def _show_ports(ip: str, rows: list[FindingRow]) -> dict[str, Any]:
    """A host with its ports; one that answered a ping (port 0) has none."""
    named: dict[str, Any] = {"host": ip}
    names = next((row.extra.get("hostnames") or [row.hostname] for row in rows if row.hostname), None)
    if names:
        named |= {"hostname": names[0], "hostnames": names}
    return named | {"ports": [_show_port(row) for row in rows if row.port]}


def _show_port(row: FindingRow) -> dict[str, Any]:
    """With the service where a second stage has asked for it."""
    shown: dict[str, Any] = {"portid": row.port, "state": row.state}
    return shown | ({"service": _show_service(row)} if row.service else {})
