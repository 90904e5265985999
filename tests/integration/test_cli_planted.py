"""No process of cloudx runs a module that lies in the folder it was started in."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment
from rig.waiting import until

ROOT = Path(__file__).parents[2]
INSTALLED = [str(Path(sys.executable).with_name("cloudx"))]
PLANTED = (
    "gunicorn.py", "json.py", "typing.py", "consul.py", "logging.py", "sitecustomize.py", "usercustomize.py",
    "cloudx/__init__.py", "cloudx/server/run.py", "gunicorn.conf.py",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder full of modules that leave a trace where one of them runs."""
    for name in PLANTED:
        file = tmp_path / "here" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__file__ + chr(10))\n")
    return tmp_path / "here"


class Started:
    """A command in that folder, until it has loaded all that it loads."""

    def __init__(self, command: list[str], here: Path) -> None:
        self._data, self._log, self._port = here.parent / "data", here.parent / "log", free_port()
        environment = clean_environment(CLOUDX_DATA_DIR=str(self._data), PORT=str(self._port))
        if command[-1] == "worker":  # it waits for a schema
            subprocess.run([*CLOUDX, "db", "upgrade"], env=environment, check=True, capture_output=True)
        with open(self._log, "wb") as said:
            self._process = subprocess.Popen(
                command, cwd=here, env=environment, stdout=said, stderr=said, start_new_session=True
            )
        self._works = {"up": self._announces, "serve": self._answers, "worker": self._has_registered}[command[-1]]

    def wait(self) -> None:
        """Until it works."""
        until(lambda: self._works() or self._process.poll() is not None, 120, self._log.read_text)
        assert self._process.poll() is None, self._log.read_text()

    def end(self) -> None:
        """Take it down."""
        self._process.terminate()
        self._process.wait(60)

    def _announces(self) -> bool:
        return "Cloud-X runs at" in self._log.read_text()

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self._port}/api/ready", timeout=10).status_code in (200, 503)
        except requests.RequestException:
            return False

    def _has_registered(self) -> bool:
        with closing(sqlite3.connect(self._data / "cloudx.db")) as database:
            return bool(database.execute("SELECT count(*) FROM nodes").fetchone()[0])


@pytest.mark.parametrize("cloudx", [CLOUDX, INSTALLED], ids=["as a module", "as installed"])
@pytest.mark.parametrize("command", ["up", "serve", "worker"])
def test_modules_planted_in_the_current_folder_are_never_run(cloudx: list[str], command: str, here: Path) -> None:
    started = Started([*cloudx, command], here)
    try:
        started.wait()
    finally:
        started.end()
    ran = here.parent / "ran"
    assert not ran.exists(), ran.read_text()


def test_python_without_p_would_run_them(here: Path) -> None:
    without = [word for word in CLOUDX if word != "-P"]
    subprocess.run([*without, "--version"], cwd=here, env=clean_environment(), capture_output=True, check=False)
    assert (here.parent / "ran").exists()


# -P, or -I where Python may be too old to know -P.
UNSAFE_START = re.compile(r"""(sys\.executable|\bpython3?(?:\.\d+)?|\$\{?python\}?)["']?[,\s]+["']?-[mc]\b""")


@pytest.mark.parametrize(
    "text",
    [
        'run([sys.executable, "-m", "x"])',
        'run(\n    [\n        sys.executable,\n        "-c",\n    ]\n)',
        "python3 -m venv x",
        '"$python" -c "import x"',
        'command: ["python", "-m", "x"]',
    ],
)
def test_a_start_of_python_in_the_current_folder_would_be_found(text: str) -> None:
    assert UNSAFE_START.search(text)


def test_python_is_started_without_the_current_folder_wherever_it_is_started() -> None:
    places = [file for folder in ("backend", "jobs", "rig", "scripts", ".ci") for file in (ROOT / folder).rglob("*")]
    places += [ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml")]
    places += (ROOT / "tests").rglob("service.py")
    texts = {
        file.relative_to(ROOT): file.read_text()
        for file in places
        if file.is_file() and file.suffix not in (".pyc", ".md") and "egg-info" not in str(file)
    }
    assert len(texts) > 250
    unsafe = [f"{name}: {found.group()}" for name, text in texts.items() for found in UNSAFE_START.finditer(text)]
    assert unsafe == []


def test_one_place_in_the_backend_starts_python() -> None:
    backend = ROOT / "backend" / "cloudx"
    starting = [
        str(file.relative_to(backend))
        for file in backend.rglob("*.py")
        if re.search(r"\[\s*sys\.executable", file.read_text())
    ]
    assert starting == ["interpreter.py"]
