"""What is the same for every call: errors, headers, ids, limits, cross-origin rules, files."""

from __future__ import annotations

import pytest

from cloudx.api.rate_limits import RateLimits
from cloudx.domain.errors import DependencyUnavailable

SITE = "https://app.example.org"


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("GET", "/api/nothing", 404, "not_found"), ("GET", "/nothing", 404, "not_found"),
    ("POST", "/api/health", 405, "method_not_allowed"), ("PATCH", "/api/scans", 405, "method_not_allowed"),
])  # fmt: skip
def test_an_address_or_method_that_is_not_there_is_answered_in_the_error_shape(api, method, path, status, code):
    answer = api.call(method, path)
    assert answer.status_code == status and answer.json["code"] == code and answer.json["error"]
    assert (status == 405) == ("Allow" in answer.headers)


def test_health_and_ping_answer_without_the_database(api, monkeypatch):
    def no_database(**_):
        raise DependencyUnavailable("away")

    for name in ("open_ledger", "submit_scan", "fleet"):
        object.__setattr__(api.dependencies, name, no_database)
    assert api.get("/api/health", token=None).json == {"status": "ok"}
    assert api.get("/api/ping", token=None).json == {"status": "pong"}


def test_while_the_database_is_away_the_answer_is_503_with_retry_after(api):
    def no_database(**_):
        raise DependencyUnavailable("The database does not answer (refused). Try again shortly.")

    object.__setattr__(api.dependencies, "open_ledger", no_database)
    object.__setattr__(api.dependencies.check_readiness, "open_ledger", no_database)
    answer = api.get("/api/scans")
    assert answer.status_code == 503 and answer.json["code"] == "dependency_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    ready = api.get("/api/ready", token=None)
    assert ready.status_code == 503 and ready.json["dependencies"]["database"]["status"] == "error"


def test_a_ready_process_says_how_each_dependency_is(api):
    ready = api.get("/api/ready", token=None)
    assert ready.status_code == 200 and ready.json["status"] == "ready"
    assert ready.json["dependencies"]["database"] == {"status": "ok", "required": True, "reason": None}


def test_a_defect_of_ours_is_a_500_with_the_request_id_and_no_detail(api):
    def defect(**_):
        raise ZeroDivisionError("the secret inside")

    object.__setattr__(api.dependencies, "open_ledger", defect)
    answer = api.get("/api/scans", headers={"X-Request-ID": "r-42"})
    assert answer.status_code == 500 and answer.json["code"] == "internal_error"
    assert answer.json["details"] == {"request_id": "r-42"} and "secret" not in answer.text


@pytest.mark.parametrize("given", ["r-1", "3f2a:b.c_D", "x" * 64])
def test_a_sane_request_id_is_kept(api, given):
    assert api.get("/api/ping", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "ä", '"', None])
def test_any_other_is_replaced(api, given):
    made = api.get("/api/ping", headers={"X-Request-ID": given} if given is not None else {}).headers["X-Request-ID"]
    assert made != given and len(made) == 32


@pytest.mark.parametrize("path", ["/api/ping", "/api/nodes", "/api/nothing", "/metrics", "/api/docs"])
def test_every_answer_carries_the_security_headers(api, path):
    headers = api.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_pages_of_the_origins_named_may_call_and_no_others(new_api):
    api = new_api(CLOUDX_CORS_ORIGINS=SITE)
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = api.call("OPTIONS", "/api/scans", token=None, headers=asked)
    assert preflight.status_code == 200 and preflight.headers["Access-Control-Allow-Origin"] == SITE
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert "Link" in api.get("/api/scans", headers={"Origin": SITE}).headers["Access-Control-Expose-Headers"]
    assert api.get("/api/scans", token=None, headers={"Origin": SITE}).headers["Access-Control-Allow-Origin"] == SITE
    evil = api.get("/api/scans", headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in evil.headers


def test_without_the_setting_no_page_may(api):
    assert "Access-Control-Allow-Origin" not in api.get("/api/scans", headers={"Origin": SITE}).headers


def test_over_the_limit_the_answer_is_429_with_retry_after_and_probes_are_still_answered(new_api):
    api = new_api(RateLimits(each_principal="3 per minute"))
    answers = [api.get("/api/scans") for _ in range(5)]
    assert [a.status_code for a in answers] == [200] * 3 + [429] * 2
    assert answers[-1].json["code"] == "rate_limited" and 0 < int(answers[-1].headers["Retry-After"]) <= 61
    viewer = api.token("viewer") if api.get("/api/ready").status_code != 200 else None
    assert viewer is None and api.get("/api/health").status_code == api.get("/api/ready").status_code == 200


def test_one_principals_haste_is_not_anothers_wait(new_api):
    api = new_api(RateLimits(each_principal="4 per minute"))
    other = api.token("viewer")
    while api.get("/api/scans").status_code == 200:
        pass
    assert api.get("/api/scans", token=other).status_code == 200


def test_submits_have_a_limit_of_their_own(new_api):
    api = new_api(RateLimits(submits="2 per minute"))
    api.register()
    body = {"target": "127.0.0.1", "tool": "nmap"}
    assert [api.post("/api/scans", body).status_code for _ in range(3)] == [202, 202, 429]
    assert api.rows()["scans"] == 2 and api.get("/api/scans").status_code == 200


def test_scripts_are_served_from_their_folder_and_from_nowhere_else(new_api, tmp_path):
    folder = tmp_path / "scripts"
    (folder / "deep").mkdir(parents=True)
    (folder / "install.sh").write_text("#!/bin/sh\n")
    (folder / "deep" / "agent.py").write_text("print()\n")
    (tmp_path / "secret").write_text("secret")
    (folder / "way-out").symlink_to(tmp_path / "secret")
    api = new_api(CLOUDX_SCRIPTS_DIR=str(folder))
    assert api.get("/scripts/install.sh", token=None).text == "#!/bin/sh\n"
    assert api.get("/scripts/deep/agent.py", token=None).status_code == 200
    for path in ("../secret", "..%2fsecret", "%2e%2e/secret", "way-out", "deep", "", "/etc/passwd", "%2fetc%2fpasswd"):
        answer = api.get(f"/scripts/{path}", token=None)
        assert answer.status_code in (404, 308) and "secret" not in answer.text, path


def test_without_a_folder_there_are_no_scripts(api):
    answer = api.get("/scripts/install.sh", token=None)
    assert answer.status_code == 404 and "CLOUDX_SCRIPTS_DIR" in answer.json["error"]


def test_the_documents_page_loads_nothing_from_elsewhere(api):
    page = api.get("/api/docs", token=None)
    assert page.mimetype == "text/html" and "//" not in page.text.replace("<!doctype", "")
    for asset in (
        "/api/docs/start.js",
        "/api/docs/assets/js/swagger-ui-bundle.js",
        "/api/docs/assets/css/swagger-ui.css",
    ):
        assert asset in page.text
        assert api.get(asset, token=None).status_code == 200


def test_the_metrics_count_requests_scans_and_nodes(api):
    api.register()
    api.submit()
    api.get("/api/nodes")
    api.dependencies.read_state()  # as the rounds of a process that serves do
    text = api.get("/metrics", token=None).text
    assert 'cloudx_scans{status="submitted"} 1.0' in text
    assert 'cloudx_nodes{status="healthy"} 1.0' in text
    assert 'cloudx_http_requests_total{method="POST",route="/api/scans",status="202"}' in text
    assert 'cloudx_http_request_seconds_count{route="/api/nodes"}' in text


def test_unknown_addresses_and_methods_make_no_new_metric(api):
    for number in range(5):
        api.get(f"/api/made-up-{number}")
        api.call(f"MADEUP{number}", "/api/scans")
    text = api.get("/metrics", token=None).text
    assert "made-up" not in text and "MADEUP" not in text and 'route="unmatched"' in text
