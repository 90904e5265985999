"""The API of a fleet, as its users call it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import requests

from .waiting import until

Finding = tuple[str, int]


@dataclass(frozen=True)
class Api:
    """An API and a token for it."""

    url: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request with the admin's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)

    def is_ready(self) -> bool:
        """True if the API answers and reaches its database."""
        try:
            return requests.get(f"{self.url}/api/ready", timeout=3).ok
        except requests.RequestException:
            return False

    def nodes(self) -> dict[str, str]:
        """Each node's status by its host name."""
        answer = self.call("GET", "/api/nodes")
        return {node["hostname"]: node["status"] for node in answer.json()} if answer.ok else {}

    def scan(self, **body: Any) -> str:
        """Submit a scan; return its id."""
        answer = self.call("POST", "/api/scans", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def show(self, scan_id: str) -> dict[str, Any]:
        """The scan as the API shows it."""
        answer = self.call("GET", f"/api/scans/{scan_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_for(self, scan_id: str, seconds: float) -> dict[str, Any]:
        """Wait for the scan to end, through outages of the API, and return it."""
        shown: dict[str, Any] = {}

        def is_over() -> bool:
            nonlocal shown
            try:
                answer = self.call("GET", f"/api/scans/{scan_id}")
            except requests.RequestException:
                return False
            if answer.ok:
                shown = answer.json()
            return shown.get("status") in ("completed", "failed", "stopped")

        until(is_over, seconds, lambda: shown)
        return shown

    def coverage(self, scan_id: str) -> dict[str, Any]:
        """The proof of what was scanned, chunk by chunk."""
        answer = self.call("GET", f"/api/scans/{scan_id}/coverage")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def findings(self, scan_id: str) -> Counter[Finding]:
        """How often each open port is among the results; a right scan has each once."""
        answer = self.call("GET", f"/api/scans/{scan_id}/results?format=ndjson", stream=True)
        assert answer.status_code == 200, answer.text
        return Counter((row["ip"], row["port"]) for row in map(json.loads, answer.iter_lines()))
