"""The PostgreSQL of the tests is a real one that can be stopped, killed and started again."""

from __future__ import annotations

import psycopg2
import pytest

from fixtures.servers.postgres import PostgresServer, find_binaries, new_server


def answer(server: PostgresServer) -> str:
    connection = psycopg2.connect(server.url.replace("+psycopg2", ""))
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        ((value,),) = cursor.fetchall()
    connection.close()
    return str(value)


def test_what_was_committed_outlives_a_restart_and_a_kill_and_nothing_is_left() -> None:
    server = new_server()
    try:
        assert answer(server) == "on"
        server.execute("CREATE TABLE kept (n int)")
        server.restart()
        server.execute("INSERT INTO kept VALUES (1)")
        server.kill()
        with pytest.raises(psycopg2.OperationalError):
            answer(server)
        server.start()
        server.execute("DROP TABLE kept")
    finally:
        folder, pid = server._folder, server.pid
        server.remove()
    assert not folder.exists()
    assert pid is not None
    assert server.pid is None


def test_a_missing_postgresql_is_a_failure_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.glob", lambda self, pattern: iter(()))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        find_binaries()
