"""The page's files: small, kept by browsers, compressed, and with nothing that a strict policy would have to allow."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from cloudx.api.page.files import FOLDER, page_files, page_version

MODULES = sorted(FOLDER.rglob("*.js"))
FIRST_LOAD_BYTES = 100_000
READS_MARKUP = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:"
)


def address(name: str) -> str:
    return f"/page/{page_version()}/{name}"


def test_the_page_names_only_files_that_there_are_and_carries_its_policy(api):
    answer = api.get("/", token=None)
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    for directive in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-cache" and answer.headers["X-Frame-Options"] == "DENY"
    named = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert len(named) > 5
    for path in named:
        kept = api.get(path, token=None)
        assert kept.status_code == 200 and "immutable" in kept.headers["Cache-Control"], path


def test_a_file_is_compressed_for_who_takes_that_and_not_sent_again(api):
    plain = api.get(address("main.js"), token=None)
    packed = api.get(address("main.js"), token=None, headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert (
        "Content-Encoding"
        not in api.get(address("main.js"), token=None, headers={"Accept-Encoding": "gzip;q=0"}).headers
    )
    for path in ("/", address("main.js")):
        etag = api.get(path, token=None).headers["ETag"]
        assert api.get(path, token=None, headers={"If-None-Match": etag}).status_code == 304


def test_an_old_version_gets_the_files_of_now_which_nobody_keeps(api):
    answer = api.get("/page/0123456789/main.js", token=None)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["index.html", "nowhere.js", "../api/app.py", "..%2Fconfig.py", "views/../../config.py", "views", "%00", ""]
)
def test_nothing_else_is_served_there(api, name):
    answer = api.get(address(name), token=None)
    assert answer.status_code in (404, 308) and answer.status_code != 200


def test_the_first_load_is_below_a_hundred_kilobytes_with_every_view():
    assert sum(len(file.gzipped) for file in page_files().values()) < FIRST_LOAD_BYTES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_module_reads_markup_and_each_import_exists(module: Path):
    text = module.read_text()
    assert re.findall(READS_MARKUP, text) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], "no other host"
    for name in re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", text):
        assert (module.parent / name).resolve().is_file(), name
    assert len(text.splitlines()) <= 300


def test_no_file_holds_a_token_in_the_browsers_storage():
    stored = {module.name: re.findall(r"^.*Storage.*$", module.read_text(), re.M) for module in MODULES}
    assert [name for name, lines in stored.items() if lines] == ["theme.js"]
    assert all("KEY" in line for line in stored["theme.js"])
