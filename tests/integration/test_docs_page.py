"""/api/docs in a real browser: it draws the whole API, its policy blocks nothing, nothing comes from elsewhere."""

from __future__ import annotations

from fixtures.servers.browser import Page
from fixtures.servers.gunicorn import Gunicorn

_BLOCKED = """new Promise(tell => {
    const told = reports => tell(reports.map(report => report.body.blockedURL + ' ' + report.body.effectiveDirective));
    new ReportingObserver(told, {types: ['csp-violation'], buffered: true}).observe();
    setTimeout(() => tell([]), 500);
})"""
_LOADED = "performance.getEntriesByType('resource').map(entry => entry.name)"


def test_the_docs_page_draws_every_route_within_its_policy_and_from_its_own_origin(
    shared_gunicorn: Gunicorn, browser: Page
) -> None:
    browser.go_to(f"{shared_gunicorn.url}/api/docs")
    browser.wait_for("/api/scans", "Submit a scan", "/api/nodes/heartbeat")
    browser.run("document.querySelector('.opblock-post .opblock-summary-control').click()")
    browser.wait_for("Responses")
    browser.run("document.querySelector('.try-out__btn')?.click()")
    document = shared_gunicorn.get("/api/openapi.json").json()
    routes = sum(len(operations) for operations in document["paths"].values())
    assert browser.run("document.querySelectorAll('.opblock').length") == routes
    assert browser.run(_BLOCKED) == []
    loaded = browser.run(_LOADED)
    assert loaded and all(url.startswith((shared_gunicorn.url, "data:")) for url in loaded), loaded
