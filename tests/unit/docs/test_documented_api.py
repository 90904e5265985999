"""docs/api.md names every route with what it takes, and every error code with its status; and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask_openapi.models.info import Info

from cloudx.api import errors as api_errors
from cloudx.api.app import CloudxApi
from cloudx.api.routes import ALL
from cloudx.domain import errors as domain_errors
from fixtures.doc_pages import assert_same, first_cells, rows_without_words, section, sections

PAGE = "docs/api.md"
_METHODS = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /")
# Of each a worker or a start has one, and none leaves by HTTP.
NOT_BY_HTTP = {"lease_lost", "bad_configuration"}
OF_HTTP_ALONE = {"method_not_allowed"}


def _api() -> CloudxApi:
    app = CloudxApi("docs", info=Info(title="docs", version="1"), static_folder=None, doc_ui=False)
    for blueprint in ALL:
        app.register_api(blueprint)
    return app


API = _api()
_PARAMETER = re.compile(r"<(?:[^:>]+:)?([^>]+)>")
RULE_OF = {
    f"{method} " + _PARAMETER.sub(r"{\1}", rule.rule): getattr(API.view_functions[rule.endpoint], "cloudx_access", None)
    for rule in API.url_map.iter_rules()
    for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
}
WHO = {
    "anyone": "anyone", "nodes": "a node, for itself", "metrics": "anyone, or a viewer", "viewer": "viewer",
    "operator": "operator", "admin": "admin",
}  # fmt: skip
ENTRIES = {title: text for title, text in sections(PAGE, 3).items() if _METHODS.match(title)}


def _operation(route: str) -> dict[str, Any]:
    """The route in the OpenAPI document; nothing for what that leaves out."""
    method, path = route.split(" ", 1)
    operation: dict[str, Any] = API.api_doc["paths"].get(path, {}).get(method.lower(), {})
    return operation


def _takes(route: str) -> dict[str, str]:
    """The fields of its query, headers and body, with what the document says of each."""
    operation, schemas = _operation(route), API.api_doc["components"]["schemas"]
    parameters = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
    takes = {one["name"]: one.get("description", "") for one in parameters}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        fields = schemas.get(name, {}).get("properties", {})
        takes |= {field: about.get("description", "") for field, about in fields.items()}
    return takes


def _entry(route: str) -> str:
    """What may be pasted into the page for a route."""
    operation, takes = _operation(route), _takes(route)
    words = f"{operation.get('summary', '…')}. {operation.get('description', '')}".strip()
    rows = [f"| `{name}` | {about} |" for name, about in takes.items()]
    table = ["", "| takes | what |", "| --- | --- |", *rows] if rows else []
    return "\n".join([f"### {route}", f"For: {WHO[str(RULE_OF[route])]}. {words}", *table])


def test_every_route_has_its_heading_and_every_heading_its_route() -> None:
    missing = [_entry(route) for route in sorted(RULE_OF.keys() - ENTRIES.keys())]
    assert not missing, f"\n{PAGE} lacks:\n\n" + "\n\n".join(missing)
    gone = sorted(ENTRIES.keys() - RULE_OF.keys())
    assert not gone, f"{PAGE} has headings of routes that do not exist: {gone}"


@pytest.mark.parametrize("route", sorted(RULE_OF.keys() & ENTRIES.keys()))
def test_an_entry_says_who_may_call_the_route_and_all_that_it_takes(route: str) -> None:
    who = WHO[str(RULE_OF[route])]
    assert f"For: {who}." in ENTRIES[route], f"{PAGE}, '{route}', has to say 'For: {who}.'"
    assert_same(
        first_cells(ENTRIES[route]),
        _takes(route),
        f"{PAGE}, '{route}', lacks a row for `{{}}`",
        f"{PAGE}, '{route}', has a row for `{{}}`, and the route takes no such thing",
    )
    assert rows_without_words(ENTRIES[route]) == [], f"{PAGE}, '{route}', has rows that say nothing"


def _existing() -> set[tuple[str, str]]:
    """(code, status) of every error that leaves by HTTP."""
    by_class = {(error.code, str(status)) for error, status in api_errors.STATUS_OF.items()}
    return (
        by_class | {(code, str(status)) for status, (code, _) in api_errors._HTTP.items()} | {("internal_error", "500")}
    )


def test_every_error_code_has_its_row_with_its_statuses() -> None:
    table = section(PAGE, "Errors")
    assert_same(
        first_cells(table),
        {code for code, _ in _existing()},
        PAGE + ", 'Errors', lacks a row for `{}`: its status, when it comes, and what to do",
        PAGE + ", 'Errors', has a row for `{}`, and no answer carries that code",
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", table, re.M))
    stated = {(code, status) for code, statuses in rows.items() for status in statuses.split(", ")}
    assert stated == _existing()


def test_every_error_of_the_domain_has_a_status_or_never_leaves_by_http() -> None:
    classes = [one for one in vars(domain_errors).values() if isinstance(one, type)]
    codes = {one.code for one in classes if issubclass(one, domain_errors.CloudxError)}
    assert codes - NOT_BY_HTTP == {code for code, _ in _existing()} - OF_HTTP_ALONE
