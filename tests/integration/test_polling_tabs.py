"""The frontend's tabs poll the API of one address without a token, and never meet a limit; a flood still does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from fixtures.servers.gunicorn import Gunicorn

TABS = 10
POLLS = 60  # twice what a tab asks in a minute, and all at once
ANOTHER = "127.0.0.2"  # it is in the first scope, and answers
FLOOD = 1_300  # more than a minute's 1,200 probes of others


def poll(url: str, times: int) -> Counter[int]:
    """The statuses of so many requests over one connection, as a tab keeps it."""
    with requests.Session() as session:
        return Counter(session.get(url, timeout=60).status_code for _ in range(times))


def test_ten_tabs_that_poll_what_the_frontend_polls_never_meet_a_limit(new_gunicorn: Callable[..., Gunicorn]) -> None:
    api = new_gunicorn(CLOUDX_AUTH="open", WEB_CONCURRENCY="2")
    paths = (f"system-monitor?target={ANOTHER}", "system-monitor", "scans", "sync-status")
    urls = [f"{api.url}/api/{path}" for path in paths]
    with ThreadPoolExecutor(TABS) as tabs:
        polls = [(url, tabs.submit(poll, url, POLLS)) for url in urls for _ in range(TABS)]
        statuses = {url: Counter[int]() for url in urls}
        for url, answered in polls:
            statuses[url] += answered.result()
    assert statuses == {url: Counter({200: TABS * POLLS}) for url in urls}


def test_a_flood_of_probes_of_another_machine_is_refused_and_this_machine_and_the_scans_still_answer(
    new_gunicorn: Callable[..., Gunicorn],
) -> None:
    api = new_gunicorn(CLOUDX_AUTH="open", WEB_CONCURRENCY="1")
    url = f"{api.url}/api/system-monitor"
    with ThreadPoolExecutor(TABS) as flood:
        parts = [flood.submit(poll, f"{url}?target={ANOTHER}", FLOOD // TABS) for _ in range(TABS)]
        statuses = sum((part.result() for part in parts), Counter[int]())
    assert statuses.keys() == {200, 429}
    refused = requests.get(f"{url}?target={ANOTHER}", timeout=30)
    if refused.status_code == 429:  # the minute may just have passed
        assert int(refused.headers["Retry-After"]) >= 1 and refused.json()["code"] == "rate_limited"
    assert poll(url, 50) == poll(f"{api.url}/api/scans", 50) == Counter({200: 50})
