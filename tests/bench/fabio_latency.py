"""What Fabio adds to a request: the same one through it and past it, in turn. Needs root and free default ports."""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from fixtures.servers.cluster import DevCluster, wait_for_the_machine
from fixtures.tasks import passing_instances

PATHS = ("/api/ping", "/api/nodes")
REQUESTS = 3000  # each way, by one client: queues are not what is measured
WARM_UP = 200


class Client:
    """One connection that is kept open, as Fabio keeps its own to the API."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        self._headers = {"Authorization": f"Bearer {token}"}

    def seconds_of(self, path: str) -> float:
        """How long one GET takes until its last byte."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 200, f"{path}: {answer.status}"
        return time.perf_counter() - started


def measure(path: str, ways: dict[str, Client]) -> dict[str, list[float]]:
    """Milliseconds of each request by each way, in turn, so that the machine's mood hits both alike."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(WARM_UP + REQUESTS):
        for way, client in ways.items():
            seconds = client.seconds_of(path)
            if number >= WARM_UP:
                taken[way].append(seconds * 1000)
    return taken


def percentile(figures: list[float], percent: int) -> float:
    """Of a list that is not sorted."""
    return statistics.quantiles(figures, n=100)[percent - 1]


def main() -> None:
    """Prints, for each path, both ways' p50 and p99 and what Fabio adds."""
    with tempfile.TemporaryDirectory() as folder, wait_for_the_machine():
        cluster = DevCluster(Path(folder))
        cluster.start()
        try:
            shell = cluster.environment
            service = passing_instances(cluster)[0]["Service"]
            direct = f"http://{service['Address']}:{service['Port']}"
            for path in PATHS:
                ways = {"direct": direct, "fabio": shell["CLOUDX_URL"]}
                clients = {way: Client(url, shell["CLOUDX_TOKEN"]) for way, url in ways.items()}
                _print(path, measure(path, clients))
        finally:
            cluster.stop()


def _print(path: str, taken: dict[str, list[float]]) -> None:
    for percent in (50, 99):
        direct, through = (percentile(taken[way], percent) for way in ("direct", "fabio"))
        line = {
            "name": f"fabio_added_p{percent}", "value": round(through - direct, 3), "unit": "ms", "path": path,
            "direct": round(direct, 3), "through_fabio": round(through, 3), "requests": REQUESTS, "goal": "",
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
