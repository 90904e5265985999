"""Registers and beats at the primary node over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from cloudx.domain.errors import DependencyUnavailable, NodeNotRegistered
from cloudx.domain.nodes import Heartbeat, Registration

PRIMARY_TIMEOUT_SECONDS = 5.0


class PrimaryNode:
    """Implements services.ports.NodeReporter. The token is asked for anew each time: its file may change."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self.clock_ahead_seconds: float | None = None  # this clock minus the primary's, at its last answer

    def register(self, said: Registration) -> None:
        """POST /api/nodes/register. Raises DependencyUnavailable."""
        self._post("register", asdict(said))

    def beat(self, said: Heartbeat) -> None:
        """POST /api/nodes/heartbeat. Raises NodeNotRegistered or DependencyUnavailable."""
        self._post("heartbeat", {**asdict(said), "updated_at": said.updated_at.isoformat()})

    def _post(self, verb: str, body: dict[str, Any]) -> None:
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        asked_at = time.time()
        try:
            answer = self._session.post(
                f"{self._url}/api/nodes/{verb}", json=body, headers=headers, timeout=PRIMARY_TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise DependencyUnavailable(f"The primary node {self._url} does not answer: {error}") from error
        self._compare_clocks(answer.headers.get("Date"), (asked_at + time.time()) / 2)
        if answer.status_code == 404:
            raise NodeNotRegistered(f"{self._url} does not know this node; it registers again.")
        if not answer.ok:
            raise DependencyUnavailable(f"{self._url} refused the {verb}: {answer.status_code} {answer.text[:200]}")

    def _compare_clocks(self, date: str | None, here: float) -> None:
        if date is None:
            return
        try:
            there = parsedate_to_datetime(date).timestamp() + 0.5  # whole seconds, cut off
        except ValueError:
            return
        self.clock_ahead_seconds = here - there
