"""A host of nmap's XML: what the ledger has of it, in nmap's words where it has such.

Rows come from machines that scan: whatever one of them may have stored, the document stays valid by the DTD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudx.domain.names import HostNames
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.services.ledger.records import FindingRow, HostRow
from cloudx.services.scans.report import ReportedHost

from .elements import element, start, text

_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_HOST_STATES = frozenset({"up", "down", "unknown", "skipped"})
# The answers by which masscan and zmap call a port open and a host up.
_REASON_OF_OPEN = {"tcp": "syn-ack", "udp": "udp-response", "sctp": "init-ack", "icmp": "echo-reply"}
_NOT_KEPT = "unknown-response"  # nmap's own word for it
_SILENT = "no-response"
_CONFIDENCES = frozenset(map(str, range(11)))
_SURE, _BY_TABLE = "10", "3"  # nmap's own confidences: a full match, and a name looked up by the port's number
_PROBED_FIELDS = ("product", "version", "extrainfo", "ostype")
# The ports of which the ledger knows that they are not open: nmap's name for "it cannot tell closed from filtered".
_NOT_OPEN = "closed|filtered"


def host_pieces(reported: ReportedHost, host_names: HostNames) -> Iterator[str]:
    """One <host>, piece by piece: it may have 65,535 ports, each with megabytes of scripts."""
    host = reported.host
    extra = host.extra if host is not None else {}
    seen_at = reported.seen_at
    yield start("host", {"endtime": seen_at and int(seen_at.timestamp()), "comment": _comment(reported)})
    yield _status(reported) + "\n" + _addresses(reported.ip, extra) + "\n" + _hostnames(reported, host_names) + "\n"
    yield from _ports(reported)
    if host is not None and host.os_name:
        accuracy = _number(extra.get("os_accuracy"), 100)
        match = element("osmatch", {"name": host.os_name, "accuracy": accuracy, "line": "0"})
        yield element("os", {}, match) + "\n"
    if scripts := _scripts(extra):
        yield element("hostscript", {}, *scripts) + "\n"
    yield "</host>\n"


def is_up(reported: ReportedHost) -> bool:
    """True unless nothing was heard of it."""
    return _state(reported.host) == "up"


def _state(host: HostRow | None) -> str:
    if host is None:
        return "up"  # there is an answer of it
    return host.state if host.state in _HOST_STATES else "unknown"


def _comment(reported: ReportedHost) -> str | None:
    if (verdict := reported.tarpit) is None:
        return None
    prefix, ports = verdict.extra.get("prefix", verdict.ip), verdict.extra.get("probed_ports", "probed")
    return f"{prefix} answers on nearly all ports ({ports}), as a tar pit does: none of them is listed as open."


def _status(reported: ReportedHost) -> str:
    host, first = reported.host, reported.first
    answer: dict[str, object] = {"reason": _NOT_KEPT, "reason_ttl": "0"}
    if host is not None:
        known = _word(host.extra.get("reason"))
        answer["reason"] = known or (_NOT_KEPT if host.state == "up" else _SILENT)
    elif first is not None:
        answer = _answer(first)
    return element("status", {"state": _state(host), **answer})


def _answer(row: FindingRow) -> dict[str, object]:
    extra = row.extra
    reason = _word(extra.get("reason"))
    if reason is None:
        reason = _SILENT if row.state == "open|filtered" else _REASON_OF_OPEN.get(row.protocol, _NOT_KEPT)
    return {"reason": reason, "reason_ttl": _number(extra.get("ttl"), 255)}


def _addresses(ip: str, extra: Mapping[str, Any]) -> str:
    own = element("address", {"addr": ip, "addrtype": "ipv6" if ":" in ip else "ipv4"})
    if (mac := _word(extra.get("mac"))) is None:
        return own
    return own + element("address", {"addr": mac, "addrtype": "mac", "vendor": _word(extra.get("vendor"))})


def _hostnames(reported: ReportedHost, host_names: HostNames) -> str:
    """Of each name whether somebody asked for it (user) or it was looked up (PTR)."""
    rows = [row for row in (reported.host, reported.first) if row is not None and row.hostname]
    if not rows:
        return "<hostnames></hostnames>"
    names = rows[0].extra.get("hostnames")
    listed = names if isinstance(names, list) and names else [rows[0].hostname]
    asked = host_names.get(reported.ip, ())
    of_type = [{"name": str(name), "type": "user" if name in asked else "PTR"} for name in listed]
    return element("hostnames", {}, *(element("hostname", one) for one in of_type))


def _ports(reported: ReportedHost) -> Iterator[str]:
    is_begun = False
    if reported.unopened:
        is_begun = True
        yield "<ports>" + element("extraports", {"state": _NOT_OPEN, "count": reported.unopened}) + "\n"
    for row in reported.rows:
        if row.protocol not in _PROTOCOLS or row.state == ANSWERS_ALL:
            continue
        if not is_begun:
            is_begun = True
            yield "<ports>"
        yield _port(row)
    if is_begun:
        yield "</ports>\n"


def _port(row: FindingRow) -> str:
    state = element("state", {"state": row.state, **_answer(row)})
    more = [_service(row), *_scripts(row.extra)] if row.service or row.extra else []
    return element("port", {"protocol": row.protocol, "portid": row.port}, state, *more) + "\n"


def _service(row: FindingRow) -> str:
    known = {name: word for name in _PROBED_FIELDS if (word := _word(row.extra.get(name))) is not None}
    cpes = row.extra.get("cpe")
    cpes = [text(str(cpe)) for cpe in cpes] if isinstance(cpes, list) else []
    tunnel = "ssl" if row.extra.get("tunnel") == "ssl" else None
    confidence = _word(row.extra.get("conf"))
    if not (row.service or known or cpes or tunnel):
        return ""
    is_probed = bool(confidence or known or cpes or tunnel)
    if confidence not in _CONFIDENCES:
        confidence = _SURE if is_probed else _BY_TABLE
    method = {"tunnel": tunnel, "method": "probed" if is_probed else "table", "conf": confidence}
    return element(
        "service", {"name": row.service or "unknown", **known, **method}, *(f"<cpe>{cpe}</cpe>" for cpe in cpes)
    )


def _scripts(extra: Mapping[str, Any]) -> list[str]:
    scripts = extra.get("scripts")
    if not isinstance(scripts, dict):
        return []
    return [element("script", {"id": name, "output": str(output)}) for name, output in scripts.items()]


def _word(value: object) -> str | None:
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _number(value: object, most: int) -> str:
    """A number as it was kept, 0 where it was not."""
    digits = str(value)
    return digits if len(digits) <= 3 and digits.isascii() and digits.isdecimal() and int(digits) <= most else "0"
