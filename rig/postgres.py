"""PostgreSQL on its machine; the whole bridge reaches it, with a password."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

from cloudx.devcluster.programs import find_postgres
from cloudx.devcluster.servers import as_postgres
from cloudx.private_files import write_private

from .environment import plain_environment
from .layout import CONTROL_NETWORK, DATABASE, POSTGRES_PORT, STORE, RigFolder, ip_of
from .namespaces import prefix
from .processes import Launch

KEY = f"{STORE}.postgres"
ADDRESS = f"{ip_of(STORE)}:{POSTGRES_PORT}/{DATABASE}"
_HBA = f"local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all {CONTROL_NETWORK} scram-sha-256\n"


class Postgres:
    """PostgreSQL's data, password and start."""

    def __init__(self, folder: RigFolder) -> None:
        self.password = secrets.token_urlsafe(24)
        self._binaries = find_postgres()
        self._folder = folder
        self._data = folder.disk_of(STORE) / "postgres"

    @property
    def admin_url(self) -> str:
        """The superuser's URL, without a database."""
        return f"postgresql://postgres:{self.password}@{ip_of(STORE)}:{POSTGRES_PORT}"

    @property
    def url(self) -> str:
        """The superuser's URL for our database."""
        return f"{self.admin_url}/{DATABASE}"

    def initialise(self) -> None:
        """Make the data folder, the superuser and the rules for connections (pg_hba.conf)."""
        password_file = self._folder.path / "postgres-password"
        write_private(password_file, self.password)
        self._data.mkdir(mode=0o700)
        shutil.chown(self._data, "postgres", "postgres")
        command = [
            str(self._binaries / "initdb"), "-D", str(self._data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync",
        ]  # fmt: skip
        done = subprocess.run([*as_postgres(), *command], capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise RuntimeError(f"PostgreSQL's data folder cannot be made: {done.stdout}{done.stderr}")
        (self._data / "pg_hba.conf").write_text(_HBA)

    def launch(self) -> Launch:
        """How it starts; SIGINT is its fast shutdown, while on SIGTERM it waits for its clients to leave."""
        options = {"listen_addresses": "*", "max_connections": "300", "unix_socket_directories": str(self._data)}
        command = [*as_postgres(), str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(POSTGRES_PORT)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return Launch(STORE, "postgres", command, plain_environment(), stop_signal="SIGINT")

    def is_ready(self) -> bool:
        """True if it takes connections."""
        command = [str(self._binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(POSTGRES_PORT), "-q"]
        return subprocess.run([*prefix(STORE), *command], check=False).returncode == 0

    def create_database(self) -> None:
        """Create our database, empty."""
        import psycopg2

        connection = psycopg2.connect(f"{self.admin_url}/postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()


def data_folder(folder: RigFolder) -> Path:
    """PostgreSQL's data folder."""
    return folder.disk_of(STORE) / "postgres"
