"""CLOUDX_REDIS_URL: instances of the API share their request limits by a real Redis, and outlive it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from cloudx.api.rate_limits import RateLimits
from fixtures.servers.api import ApiUnderTest
from fixtures.servers.gunicorn import Gunicorn
from fixtures.servers.redis import RedisServer
from rig.waiting import until

FAILED_LOGINS = 600  # a minute and address, as it ships
NewApi = Callable[..., ApiUnderTest]


def fail_to_log_in(apis: list[Gunicorn], times: int) -> list[int]:
    """The statuses of so many requests with a wrong token, sent to each instance in turn."""
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer wrong"
        return [session.get(f"{apis[n % len(apis)].url}/api/scans", timeout=30).status_code for n in range(times)]


def test_two_instances_of_two_processes_each_count_together(
    new_gunicorn: Callable[..., Gunicorn], redis: RedisServer
) -> None:
    apis = [new_gunicorn(CLOUDX_REDIS_URL=redis.url, WEB_CONCURRENCY="2") for _ in range(2)]
    assert fail_to_log_in(apis, FAILED_LOGINS) == [401] * FAILED_LOGINS
    assert fail_to_log_in(apis, 8) == [429] * 8, "every process of both knows it"
    assert apis[0].get("/api/scans").status_code == 200


def test_without_redis_each_instance_counts_for_itself(new_api: NewApi) -> None:
    limits = RateLimits(each_principal="2 per minute")
    one, two = new_api(limits), new_api(limits)
    assert statuses(one, 3) == [200, 200, 429]
    assert statuses(two, 1) == [200]


def test_a_redis_that_dies_takes_no_request_down_and_each_instance_counts_for_itself_until_it_is_back(
    new_api: NewApi, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    limits = RateLimits(each_principal="3 per minute")
    one, two = (new_api(limits, CLOUDX_REDIS_URL=redis.url) for _ in range(2))
    assert statuses(one, 2) + statuses(two, 2) == [200, 200, 200, 429]
    redis.kill()
    assert statuses(one, 4) == statuses(two, 4) == [200, 200, 200, 429]
    assert "falling back to in-memory storage" in caplog.text
    redis.start()
    until(lambda: statuses(one, 1) == [200], 30)
    until(lambda: statuses(two, 1) == [200], 30)
    assert statuses(one, 1) + statuses(two, 1) == [200, 429]


@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_a_wrong_token_is_told_so_while_redis_is_away_and_guessing_is_still_slowed_down(
    new_api: NewApi, redis: RedisServer, fault: str
) -> None:
    api = new_api(RateLimits(failed_logins="3 per minute"), CLOUDX_REDIS_URL=redis.url)
    assert statuses(api, 1, "wrong") == [401]
    getattr(redis, fault)()
    assert statuses(api, 4, "wrong") == [401, 401, 401, 429]


def test_an_api_starts_while_redis_is_away(
    new_gunicorn: Callable[..., Gunicorn], new_redis: Callable[[], RedisServer]
) -> None:
    away = new_redis()
    api = new_gunicorn(CLOUDX_REDIS_URL=away.url)
    assert api.get("/api/scans").status_code == 200
    assert any("in-memory" in str(line.get("event")) and line["level"] == "warning" for line in api.lines())


def statuses(api: ApiUnderTest, times: int, token: str | None = None) -> list[int]:
    """Of so many requests with the admin's token, or another."""
    more = {} if token is None else {"token": token}
    return [api.get("/api/scans", **more).status_code for _ in range(times)]
