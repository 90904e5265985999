"""What the image holds and what it does not. Needs root, Docker and the package registries."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from fixtures.servers.containers import PIP_CANARY, ROOT, docker, make_image


def inside(image: str, *command: str) -> str:
    """What a command prints in a container of its own."""
    return docker("run", "--rm", "--network", "none", "--no-healthcheck", image, *command)


def present(image: str, *programs: str) -> set[str]:
    """Those of these programs that the image has."""
    found = inside(image, "sh", "-c", 'for program do command -v "$program" || true; done', "sh", *programs)
    return {line.rsplit("/", 1)[1] for line in found.splitlines()}


def test_it_has_the_three_scanners_and_what_starts_them(image: str) -> None:
    needed = {"nmap", "masscan", "zmap", "ip", "setpriv", "cloudx"}
    assert present(image, *needed) == needed


def test_it_has_no_build_tools(image: str) -> None:
    assert present(image, "gcc", "cc", "g++", "c++", "ld", "as", "make", "cmake", "cargo", "rustc", "go") == set()


def test_its_environment_has_no_installer_and_no_cache(image: str) -> None:
    names = "import importlib.metadata as m; print(*(found.name for found in m.distributions()))"
    packages = set(inside(image, "python", "-c", names).split())
    assert "cloudx" in packages
    assert not {"pip", "setuptools", "wheel"} & packages
    assert (
        inside(image, "sh", "-c", "find / -xdev -path '*/.cache/pip*' -o -xdev -path '/var/lib/apt/lists/*' | head")
        == ""
    )


def test_it_holds_the_package_of_this_checkout_and_nothing_else_of_it(image: str, checkout: Path) -> None:
    ours = {str(path.relative_to(checkout / "backend")) for path in (checkout / "backend/cloudx").rglob("*.py")}
    listed = inside(image, "sh", "-c", "cd /app/.venv/lib/python3*/site-packages && find cloudx -name '*.py'")
    assert set(listed.splitlines()) == ours
    assert set(inside(image, "ls", "-A", "/app").splitlines()) == {".venv", "container-health"}


def test_nothing_that_the_build_was_told_is_in_any_layer_or_in_the_history(image: str) -> None:
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
        search = ["grep", "--text", "--count", "-e", PIP_CANARY, "-e", "pip-cert.pem"]
        found = subprocess.run(search, stdin=save.stdout, capture_output=True, timeout=120)
    assert save.returncode == 0
    assert found.stdout.strip() == b"0"


def test_its_only_settings_are_where_to_listen_and_where_to_keep_data(image: str) -> None:
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))
    names = {entry.split("=", 1)[0] for entry in config["Env"]}
    assert {
        name for name in names if "TOKEN" in name or "PASSWORD" in name or "PIP" in name or "PROXY" in name.upper()
    } == set()
    assert {entry for entry in config["Env"] if entry.startswith("CLOUDX_")} == {
        "CLOUDX_BIND=0.0.0.0",
        "CLOUDX_DATA_DIR=/var/lib/cloudx",
    }
    assert list(config["ExposedPorts"]) == ["5001/tcp"]
    assert config["Cmd"] == ["cloudx", "serve"]


def test_it_is_tagged_with_its_version_and_never_with_latest_alone(image: str) -> None:
    version = inside(image, "python", "-c", "import cloudx; print(cloudx.__version__)")
    tags = json.loads(docker("image", "inspect", "--format", "{{json .RepoTags}}", image))
    assert set(tags) >= {f"cloudx:{version}", "cloudx:dev"}
    assert "cloudx:latest" not in tags


def test_a_second_build_makes_nothing_anew(image: str, checkout: Path) -> None:
    assert make_image(checkout) == image


@pytest.mark.parametrize("wrong", ["no-such-base:1", "Not A Name"])
def test_a_base_that_cannot_be_had_stops_the_build_and_is_named(docker_daemon: None, wrong: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts/make-image"],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "BASE_IMAGE": wrong},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"the base image {wrong} is not here and cannot be pulled" in done.stderr
