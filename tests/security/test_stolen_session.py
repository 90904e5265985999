"""One page of another origin, and one who sits on the wire: neither gets anything by the page's cookie."""

from __future__ import annotations

import pytest

from fixtures.servers.api import ADMIN_TOKEN, NODE_TOKEN

HOST = "cloudx.example"
OWN = {"Host": HOST, "Sec-Fetch-Site": "same-origin"}
OWN_BY_ORIGIN = {"Host": HOST, "Origin": f"https://{HOST}"}
OWN_BY_REFERER = {"Host": HOST, "Referer": f"http://{HOST}/"}
FOREIGN = {
    "a program or an old browser that says nothing": {},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another site that has our origin in its name": {"Origin": f"https://{HOST}.evil.example"},
    "a name of ours as its user": {"Origin": f"https://{HOST}@evil.example"},
    "another port of this host": {"Sec-Fetch-Site": "same-site", "Origin": f"https://{HOST}:8443"},
    "another port, by plain http": {"Origin": f"http://{HOST}:8080"},
    "another port's page, by its referer": {"Referer": f"http://{HOST}:8080/x"},
    "a page with our address as its path": {"Referer": f"https://evil.example/https://{HOST}/"},
    "a sandboxed frame": {"Origin": "null"},
    "a frame that hides its referer": {"Origin": "null", "Referer": f"https://{HOST}/"},
    "a typed address": {"Sec-Fetch-Site": "none"},
    "a sibling that forges the origin too": {"Sec-Fetch-Site": "same-site", "Origin": f"https://{HOST}"},
    "a plain page that the wire forged": {"Origin": f"http://{HOST}", "X-Forwarded-Proto": "https"},
    "nonsense": {"Sec-Fetch-Site": "SAME-ORIGIN", "Origin": f"https://{HOST}"},
}
SCAN = {"target": "127.0.0.1", "tool": "nmap"}


def sign_in(api, token=ADMIN_TOKEN, headers=OWN):
    return api.call(
        "POST", "/api/session", token=None, json={"token": token}, headers=headers, base_url=f"http://{HOST}"
    )


def cookie_of(answer) -> str:
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def with_cookie(api, method, path, cookie, headers, **options):
    """Flask's client would put a jar of its own in the place of the header."""
    bare = api.app.test_client(use_cookies=False)
    return bare.open(path, method=method, headers={"Host": HOST, "Cookie": cookie} | headers, buffered=True, **options)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_cookie_counts_for_no_request_that_is_not_the_pages_own(api, headers):
    cookie = cookie_of(sign_in(api))
    for method, path, body in (
        ("GET", "/api/scans", None),
        ("POST", "/api/scans", SCAN),
        ("DELETE", "/api/tokens/x", None),
    ):
        answer = with_cookie(api, method, path, cookie, headers, json=body)
        assert answer.status_code == 401 and answer.json["code"] == "unauthenticated", (method, path)
    assert with_cookie(api, "GET", "/api/session", cookie, headers).json["signed_in"] is False


@pytest.mark.parametrize("headers", [OWN, OWN_BY_ORIGIN, OWN_BY_REFERER])
def test_the_pages_own_requests_are_answered(api, headers):
    cookie = cookie_of(sign_in(api, headers=headers))
    api.register()
    assert with_cookie(api, "GET", "/api/scans", cookie, headers).status_code == 200
    assert with_cookie(api, "POST", "/api/scans", cookie, headers, json=SCAN).status_code == 202
    assert with_cookie(api, "GET", "/api/session", cookie, headers).json["role"] == "admin"


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_no_other_page_signs_anybody_in_or_out(api, headers):
    for method, body in (("POST", {"token": ADMIN_TOKEN}), ("DELETE", None)):
        answer = with_cookie(api, method, "/api/session", "", headers, json=body)
        assert answer.status_code == 403 and "Set-Cookie" not in answer.headers


def test_a_form_signs_nobody_in_for_it_sends_no_json(api):
    answer = api.call("POST", "/api/session", token=None, data={"token": ADMIN_TOKEN}, headers=OWN)
    assert answer.status_code == 400 and "Set-Cookie" not in answer.headers


def test_no_script_reads_the_cookie_and_no_other_site_sends_it(api):
    words = {word.strip() for word in sign_in(api).headers["Set-Cookie"].split(";")[1:]}
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= words
    assert "Secure" not in words and not any(word.startswith("Domain") for word in words)


@pytest.mark.parametrize("proof", [{"Origin": f"https://{HOST}"}, {"X-Forwarded-Proto": "https", **OWN}])
def test_by_https_the_cookie_is_bound_to_the_host_and_leaves_by_https_alone(api, proof):
    answer = sign_in(api, headers={"Host": HOST} | proof)
    name, words = cookie_of(answer), answer.headers["Set-Cookie"]
    assert name.startswith("__Host-cloudx_session=") and "Secure" in words
    assert with_cookie(api, "GET", "/api/scans", name, OWN).status_code == 200


def test_a_plain_cookie_that_a_sibling_planted_counts_for_nothing_by_https(api):
    planted = cookie_of(sign_in(api))
    assert planted.startswith("cloudx_session=")
    by_https = OWN | {"X-Forwarded-Proto": "https"}
    assert with_cookie(api, "GET", "/api/scans", planted, by_https).status_code == 401
    own = cookie_of(sign_in(api, api.token("viewer"), by_https))
    both = with_cookie(api, "GET", "/api/session", f"{planted}; {own}", OWN)
    assert both.json["role"] == "viewer", "the one that is bound to the host wins"


def test_two_installs_on_one_host_keep_their_cookies_apart(api):
    one = sign_in(api, headers=OWN | {"Host": "127.0.0.1:5001"})
    assert cookie_of(one).startswith("cloudx_session_5001=")


def test_a_header_goes_before_the_cookie_and_a_bad_one_is_not_mended_by_it(api):
    cookie = cookie_of(sign_in(api))
    viewer = api.token("viewer")
    answer = with_cookie(api, "GET", "/api/tokens", cookie, OWN | {"Authorization": f"Bearer {viewer}"})
    assert answer.status_code == 403
    assert with_cookie(api, "GET", "/api/tokens", cookie, OWN | {"Authorization": "Bearer wrong"}).status_code == 401


def test_a_revoked_token_ends_its_session_and_signing_out_takes_the_cookie(api):
    secret = api.token("operator")
    cookie = cookie_of(sign_in(api, secret))
    (token,) = api.get("/api/tokens").json
    assert with_cookie(api, "GET", "/api/scans", cookie, OWN).status_code == 200
    out = with_cookie(api, "DELETE", "/api/session", cookie, OWN)
    assert out.json["signed_in"] is False and "Max-Age=0" in out.headers["Set-Cookie"]
    api.call("DELETE", f"/api/tokens/{token['id']}")
    assert with_cookie(api, "GET", "/api/scans", cookie, OWN).status_code == 401


@pytest.mark.parametrize(
    ("token", "status"),
    [("wrong", 401), ("cx_wrong", 401), (NODE_TOKEN, 403), ("x" * 5000, 401), ("é", 401), ("", 400)],
)
def test_what_opens_nothing_sets_no_cookie(api, token, status):
    answer = sign_in(api, token)
    assert answer.status_code == status and "Set-Cookie" not in answer.headers


def test_no_answer_of_the_session_holds_the_token(api):
    secret = api.token("operator")
    answer = sign_in(api, secret)
    assert secret not in answer.text and answer.json["principal"] == "token:a operator"
    assert answer.headers["Cache-Control"] == "no-store"
    anonymous = api.call("GET", "/api/session", token=None).json
    assert anonymous["version"] is None and anonymous["principal"] is None


def test_guessing_by_the_sign_in_is_counted_as_guessing_by_the_header_is(new_api):
    from cloudx.api.rate_limits import RateLimits

    api = new_api(limits=RateLimits(failed_logins="3 per minute"))
    statuses = [sign_in(api, "wrong").status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert api.call("GET", "/api/session", token=None).status_code == 200, "who tries nothing is not counted"
