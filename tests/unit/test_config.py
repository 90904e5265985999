"""What the environment may say, and the one line that stops the start when it says something else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudx.config import AuthMode, Settings, load_settings
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable

OPERATIONS = Path(__file__).parent.parent.parent / "docs" / "operations.md"


def test_an_empty_environment_gives_a_safe_install() -> None:
    settings = load_settings({})
    assert (settings.cloudx_bind, settings.port, settings.cloudx_auth) == ("127.0.0.1", 5001, AuthMode.TOKEN)
    assert settings.sqlalchemy_url.startswith("sqlite:////")
    assert settings.sqlalchemy_url.endswith("/data/cloudx.db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://", "sqlite:///x.db", "sqlite:////srv/a:b.db", "postgresql://u:p:q@h:5432/d", "postgresql://u@[::1]/d",
        "postgresql://u@[::1]:5432/d?sslmode=require", "postgresql:///d?host=/run/postgresql", "postgresql://h",
    ],
)  # fmt: skip
def test_every_form_of_a_database_url_is_taken(url: str) -> None:
    assert load_settings({"DATABASE_URL": url}).sqlalchemy_url.endswith(url.partition("://")[2])


@pytest.mark.parametrize("plain", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg2://u@h/d"])
def test_every_way_of_writing_postgresql_names_its_driver(plain: str) -> None:
    assert load_settings({"DATABASE_URL": plain}).sqlalchemy_url == "postgresql+psycopg2://u@h/d"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"CLOUDX_DATADIR": "x"}, "CLOUDX_DATADIR: there is no such setting. Did you mean CLOUDX_DATA_DIR?"),
        ({"CLOUDX_QQQQ": "x"}, "Known: CLOUDX_ADMIN_TOKEN"),
        ({"PORT": "http"}, "PORT: "),
        ({"PORT": "70000"}, "65535"),
        ({"CLOUDX_AUTH": "none"}, "'token' or 'open'"),
        ({"CLOUDX_AUTH": "open", "CLOUDX_BIND": "0.0.0.0"}, "it is 0.0.0.0. Use token, or bind to 127.0.0.1."),
        ({"CLOUDX_AUTH": "open", "CLOUDX_BIND": "example.org"}, "bind to 127.0.0.1"),
        ({"CLOUDX_CLERK_DEFAULT_ROLE": "node"}, "viewer, operator or admin"),
        ({"PRIMARY_NODE_URL": "ftp://x"}, "PRIMARY_NODE_URL"),
        ({"NODE_ID": "a b"}, "NODE_ID"),
        ({"CLOUDX_EXECUTOR": "kubernetes"}, "'resident' or 'nomad'"),
        ({"CLOUDX_REDIS_URL": "127.0.0.1:6379"}, "CLOUDX_REDIS_URL: takes redis://[:PASSWORD@]HOST[:PORT][/NUMBER]"),
        ({"CLOUDX_REDIS_URL": "http://127.0.0.1:6379"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis://:hunter2@host:http"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis://host:0"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis:///0"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis://host/limits"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis://host?timeout=1"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"CLOUDX_REDIS_URL": "redis://[::1"}, "CLOUDX_REDIS_URL: takes redis://"),
        ({"DATABASE_URL": "garbage"}, "DATABASE_URL: takes postgresql://"),
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, "or sqlite:///FILE"),
        ({"DATABASE_URL": "postgresql+asyncpg://u@h/d"}, "DATABASE_URL: takes postgresql://"),
        ({"DATABASE_URL": "postgresql://u:hunter2@h:many/d"}, "DATABASE_URL: takes postgresql://"),
        ({"CLOUDX_URL": "http://[::1"}, "CLOUDX_URL: takes http://HOST:PORT"),
        ({"CLOUDX_URL": "http://h:99999"}, "CLOUDX_URL: takes http://HOST:PORT"),
        ({"PRIMARY_NODE_URL": "http://:80"}, "PRIMARY_NODE_URL: takes http://HOST:PORT"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(environ: dict[str, str], says: str) -> None:
    with pytest.raises(BadConfiguration) as stopped:
        load_settings(environ)
    assert says in stopped.value.message
    assert "\n" not in stopped.value.message
    assert "hunter2" not in stopped.value.message


@pytest.mark.parametrize(
    "url",
    ["redis://h", "redis://h/", "redis://h:6379/0", "redis://:a%40b@h:1/15", "rediss://u:p@h", "redis://[::1]:6379"],
)
def test_every_form_of_a_redis_url_is_taken(url: str) -> None:
    assert load_settings({"CLOUDX_REDIS_URL": url}).cloudx_redis_url == url


def test_open_is_allowed_on_loopback() -> None:
    for bind in ("127.0.0.1", "::1", "localhost"):
        assert load_settings({"CLOUDX_AUTH": "open", "CLOUDX_BIND": bind}).cloudx_auth is AuthMode.OPEN


def test_a_secret_never_shows_in_the_settings_text() -> None:
    settings = load_settings({"CLOUDX_ADMIN_TOKEN": "hunter2hunter2", "VAULT_TOKEN": "s.abcdef"})
    assert "hunter2" not in repr(settings)
    assert "s.abcdef" not in repr(settings)
    assert settings.admin_token() == "hunter2hunter2"


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = load_settings({"CLOUDX_ADMIN_TOKEN_FILE": str(file)})
    assert settings.admin_token() is None
    file.write_text("first\n")
    assert settings.admin_token() == "first"
    replacement = tmp_path / "next"
    replacement.write_text("second\n")
    replacement.rename(file)  # as Vault's and Kubernetes' renderers do
    assert settings.admin_token() == "second"


def test_a_database_url_file_wins_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "database_url"
    settings = load_settings({"DATABASE_URL_FILE": str(file), "DATABASE_URL": "postgresql://other@h/d"})
    assert not settings.uses_own_sqlite
    with pytest.raises(DependencyUnavailable, match="no database URL in"):
        _ = settings.sqlalchemy_url
    file.write_text("postgresql://first:secret@h/d\n")
    assert settings.sqlalchemy_url == "postgresql+psycopg2://first:secret@h/d"
    replacement = tmp_path / "next"
    replacement.write_text("postgresql://second:secret@h/d")
    replacement.rename(file)
    assert settings.sqlalchemy_url == "postgresql+psycopg2://second:secret@h/d"
    assert "secret@" not in repr(settings)


@pytest.mark.parametrize(("name", "ask"), [("NOMAD_TOKEN", "nomads_token"), ("CONSUL_HTTP_TOKEN", "consuls_token")])
def test_a_cluster_token_s_file_wins_over_its_value(tmp_path: Path, name: str, ask: str) -> None:
    (tmp_path / "token").write_text("from the file\n")
    value = {name: "from the environment"}
    assert getattr(load_settings(value), ask)() == "from the environment"
    assert getattr(load_settings(value | {f"{name}_FILE": str(tmp_path / "token")}), ask)() == "from the file"


def test_comma_lists_are_split() -> None:
    assert load_settings({"CLOUDX_CORS_ORIGINS": "https://a.example, https://b.example"}).cloudx_cors_origins == (
        "https://a.example",
        "https://b.example",
    )


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", OPERATIONS.read_text()))
    assert {name.upper() for name in Settings.model_fields} - documented == set()


POSTGRESQL = {"DATABASE_URL": "postgresql://u@h/d"}
NOMAD = {"CLOUDX_EXECUTOR": "nomad", "NOMAD_ADDR": "http://127.0.0.1:4646"}


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (NOMAD, "nomad needs PostgreSQL"),
        (NOMAD | {"DATABASE_URL": "sqlite:///x.db"}, "DATABASE_URL=postgresql://…, or CLOUDX_EXECUTOR=resident."),
        (POSTGRESQL | {"CLOUDX_EXECUTOR": "nomad"}, "nomad needs NOMAD_ADDR, such as http://127.0.0.1:4646"),
    ],
)
def test_an_api_that_could_not_dispatch_is_refused_with_the_remedy(environ: dict[str, str], says: str) -> None:
    with pytest.raises(BadConfiguration, match=r"^CLOUDX_EXECUTOR: ") as stopped:
        load_settings(environ).require_for_dispatching()
    assert says in stopped.value.message


@pytest.mark.parametrize("environ", [{}, NOMAD | POSTGRESQL, NOMAD | {"DATABASE_URL_FILE": "/secrets/not/there/yet"}])
def test_an_api_that_can_dispatch_or_need_not_is_let_start(environ: dict[str, str]) -> None:
    load_settings(environ).require_for_dispatching()
