"""How far an nmap run is, read off its XML while it is being written."""

from __future__ import annotations

import re

# Escaped text (banners, script output) cannot hold a bare `<`, so no target can forge one of these.
_EVENT = re.compile(
    rb'<task(?P<kind>begin|progress|end) task="(?P<task>[^"]{1,80})"(?:[^>]*? percent="(?P<percent>[\d.]+)")?[^>]*>'
    rb"|<host[ >](?P<host>)"
)
_MAX_TAG_BYTES = 512

# The share of a host's time at which each kind of task begins and ends: guesses that make the bar
# even, never part of coverage. Tasks not named here (parallel DNS, traceroute) move nothing.
_DISCOVERY, _PORTS, _SERVICES, _OS, _SCRIPTS = "Ping Scan", "Scan", "Service scan", "OS detection", "NSE"
_PLAIN = {_DISCOVERY: (0.0, 0.03), _PORTS: (0.03, 1.0)}
_PHASES = {
    "intense": {
        _DISCOVERY: (0.0, 0.02),
        _PORTS: (0.02, 0.35),
        _SERVICES: (0.35, 0.7),
        _OS: (0.7, 0.8),
        _SCRIPTS: (0.8, 1.0),
    },
    "vuln": {_DISCOVERY: (0.0, 0.02), _PORTS: (0.02, 0.3), _SERVICES: (0.3, 0.5), _SCRIPTS: (0.5, 1.0)},
}
# These come several times in a row (run levels, second tries): each takes half of what is left.
_REPEATED = (_OS, _SCRIPTS)


class NmapProgress:
    """Finished hosts, and for the rest the phase they are in."""

    def __init__(self, type_name: str, hosts: int) -> None:
        self._phases = _PHASES.get(type_name, _PLAIN)
        self._hosts = max(1, hosts)
        self._finished = 0
        self._start, self._end = 0.0, 0.0  # of the task under way, for hosts that are not finished
        self._within = 0.0
        self._share = 0.0
        self._rest = b""

    def feed(self, data: bytes) -> float | None:
        """The share done (0–1) when it has grown, else None."""
        text = self._rest + data
        end = 0
        for event in _EVENT.finditer(text):
            end = event.end()
            self._note(event)
        self._rest = text[max(end, len(text) - _MAX_TAG_BYTES) :]
        share = min(1.0, (self._finished + (self._hosts - self._finished) * self._within) / self._hosts)
        if share <= self._share:
            return None
        self._share = share
        return share

    def _note(self, event: re.Match[bytes]) -> None:
        if event["host"] is not None:
            self._finished = min(self._hosts, self._finished + 1)
            return
        task = event["task"].decode("ascii", "replace")
        phase = next((name for name in (_DISCOVERY, _PORTS, _SERVICES, _OS, _SCRIPTS) if name in task), None)
        if phase not in self._phases or (phase in _REPEATED and self._within == 0.0):
            return  # scripts also run once before any host is looked at
        if event["kind"] == b"begin":
            self._begin(phase)
        done = {b"begin": 0.0, b"end": 1.0}.get(event["kind"], float(event["percent"] or 0) / 100)
        self._within = self._start + (self._end - self._start) * done

    def _begin(self, phase: str) -> None:
        self._start, self._end = self._phases[phase]
        if phase in _REPEATED:
            self._start = max(self._start, self._within)
            self._end = (self._start + self._end) / 2
