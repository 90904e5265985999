"""Registers, sends heartbeats to the primary node over HTTP, and waits there for news of work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from typing_extensions import override

from cloudx.domain.beats import HEARTBEAT_SECONDS
from cloudx.domain.errors import DependencyUnavailable, NodeNotRegistered
from cloudx.domain.nodes import Heartbeat, Registration
from cloudx.services.chunks.work_signal import WorkNews
from cloudx.services.fleet.ports import NodeReporter

PRIMARY_TIMEOUT_SECONDS = 5.0
WAIT_SECONDS = 600.0  # for news of work
SILENCE_SECONDS = 75.0  # the primary sends something each 50 s meanwhile


class PrimaryNode(NodeReporter):
    """POSTs to /api/nodes of another API. `token` is called for each request, since its file may change."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self.clock_ahead_seconds: float | None = None  # this clock minus the primary's, at its last answer

    @override
    def register(self, registration: Registration) -> None:
        self._post("register", asdict(registration))

    @override
    def beat(self, heartbeat: Heartbeat) -> float:
        answer = self._post("heartbeat", {**asdict(heartbeat), "updated_at": heartbeat.updated_at.isoformat()})
        try:
            return float(answer.json()["next_seconds"])
        except (ValueError, KeyError, TypeError):  # of an older version, which does not say
            return HEARTBEAT_SECONDS

    def _post(self, verb: str, body: dict[str, Any]) -> requests.Response:
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sent_at = time.time()
        try:
            response = self._session.post(
                f"{self._url}/api/nodes/{verb}", json=body, headers=headers, timeout=PRIMARY_TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise DependencyUnavailable(f"The primary node {self._url} does not answer: {error}") from error
        self._compare_clocks(response.headers.get("Date"), (sent_at + time.time()) / 2)
        if response.status_code == 404:
            raise NodeNotRegistered(f"{self._url} does not know this node; it registers again.")
        if not response.ok:
            raise DependencyUnavailable(f"{self._url} refused the {verb}: {response.status_code} {response.text[:200]}")
        return response

    def _compare_clocks(self, date: str | None, here: float) -> None:
        if date is None:
            return
        try:
            there = parsedate_to_datetime(date).timestamp() + 0.5  # whole seconds, cut off
        except ValueError:
            return
        self.clock_ahead_seconds = here - there


class PrimaryWork:
    """Implements WorkQuestion by GET /api/work, on a connection of its own: the answer may take a while."""

    def __init__(self, url: str, token: Callable[[], str | None]) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()

    def __call__(self, seen: int) -> WorkNews:
        """The last news. Raises DependencyUnavailable."""
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            response = self._session.get(
                f"{self._url}/api/work",
                params={"seen": str(seen), "wait_seconds": str(WAIT_SECONDS)},
                headers=headers,
                timeout=(PRIMARY_TIMEOUT_SECONDS, SILENCE_SECONDS),
            )
            if response.ok:
                news = response.json()
                return WorkNews(int(news["number"]), float(news["rest_seconds"]))
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise DependencyUnavailable(f"The primary node {self._url} tells of no work: {error}") from error
        raise DependencyUnavailable(
            f"{self._url}/api/work answers {response.status_code}: {response.text[:200]}. Until it does, this worker "
            "looks twice a second."
        )
