"""Vault's policies, logins and engines, by hvac."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
from typing_extensions import override

from cloudx.cluster.identity_ports import DatabaseLogin, VaultSetup
from cloudx.domain.errors import ClusterUnavailable

VAULT_TIMEOUT_SECONDS = 15
PLUGIN = "postgresql-database-plugin"
DATABASE_MOUNT = "database"
SECRET_MOUNT = "secret"  # noqa: S105 - a path


class HvacVaultSetup(VaultSetup):
    """Implements VaultSetup."""

    def __init__(self, address: str, token: str | None) -> None:
        self._address = address
        self._vault = hvac.Client(url=address, token=token, timeout=VAULT_TIMEOUT_SECONDS)

    @override
    def put_policy(self, name: str, rules: str) -> None:
        with self._refusals(f"policy {name}"):
            self._vault.sys.create_or_update_policy(name, rules)

    @override
    def put_jwt_login(self, mount: str, jwks_url: str) -> None:
        with self._refusals(f"auth/{mount}"):
            if f"{mount}/" not in self._vault.sys.list_auth_methods()["data"]:
                self._vault.sys.enable_auth_method("jwt", path=mount)
            config = {"jwks_url": jwks_url, "jwt_supported_algs": ["RS256"]}
            self._vault.write_data(f"auth/{mount}/config", data=config)

    @override
    def put_jwt_role(self, mount: str, name: str, body: dict[str, Any]) -> None:
        with self._refusals(f"auth/{mount}/role/{name}"):
            self._vault.write_data(f"auth/{mount}/role/{name}", data=body)

    @override
    def has_connection(self, name: str, address: str) -> bool:
        with self._refusals(f"{DATABASE_MOUNT}/config/{name}"):
            known = self._read(f"{DATABASE_MOUNT}/config/{name}")
            return str(known.get("connection_details", {}).get("connection_url", "")).endswith(_url_end(address))

    @override
    def put_connection(self, name: str, address: str, login: DatabaseLogin, roles: tuple[str, ...]) -> None:
        with self._refusals(f"{DATABASE_MOUNT}/config/{name}"):
            self._mount("database", DATABASE_MOUNT)
            config = {
                "plugin_name": PLUGIN,
                "allowed_roles": list(roles),
                "connection_url": "postgresql://{{username}}:{{password}}" + _url_end(address),
                "username": login.user,
                "password": login.password,
                "password_authentication": "scram-sha-256",  # passwords reach PostgreSQL, and its log, hashed
            }
            self._vault.write_data(f"{DATABASE_MOUNT}/config/{name}", data=config)
            self._vault.write_data(f"{DATABASE_MOUNT}/rotate-root/{name}")

    @override
    def put_database_role(self, name: str, body: dict[str, Any]) -> None:
        with self._refusals(f"{DATABASE_MOUNT}/roles/{name}"):
            self._vault.write_data(f"{DATABASE_MOUNT}/roles/{name}", data=body)

    @override
    def keep_secret(self, path: str, values: dict[str, str]) -> None:
        with self._refusals(f"{SECRET_MOUNT}/{path}"):
            self._mount("kv", SECRET_MOUNT, {"version": "2"})
            # The version first: whatever is written after it makes our write fail, and is then what we keep.
            version = self._version_of(path)
            if not self.read_secret(path):
                body = {"data": values, "options": {"cas": version}}  # check-and-set
                self._write_if_unchanged(path, body)

    @override
    def read_secret(self, path: str) -> dict[str, str]:
        with self._refusals(f"{SECRET_MOUNT}/{path}"):
            return dict(self._read(f"{SECRET_MOUNT}/data/{path}").get("data") or {})

    @override
    def offer_database_plugin(self, file: str) -> None:
        with self._refusals(f"plugin {PLUGIN}"):
            if PLUGIN not in self._read("sys/plugins/catalog").get("database", []):
                digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
                body = {"sha256": digest, "command": Path(file).name}
                self._vault.write_data(f"sys/plugins/catalog/database/{PLUGIN}", data=body)

    def _version_of(self, path: str) -> int:
        """The version that a secret is at, deleted and destroyed ones included; 0 before the first.

        By the metadata: for a version that is gone hvac raises the same as for a secret that never was.
        """
        return int(self._read(f"{SECRET_MOUNT}/metadata/{path}").get("current_version", 0))

    def _write_if_unchanged(self, path: str, body: dict[str, Any]) -> None:
        try:
            self._vault.write_data(f"{SECRET_MOUNT}/data/{path}", data=body)
        except InvalidRequest as error:
            if "check-and-set" not in str(error) or not self.read_secret(path):
                raise

    def _mount(self, engine: str, path: str, options: dict[str, str] | None = None) -> None:
        if f"{path}/" not in self._vault.sys.list_mounted_secrets_engines()["data"]:
            self._vault.sys.enable_secrets_engine(engine, path=path, options=options)

    def _read(self, path: str) -> dict[str, Any]:
        try:
            found = self._vault.read(path)
        except InvalidPath:
            return {}
        return dict(found["data"]) if found else {}

    @contextmanager
    def _refusals(self, subject: str) -> Iterator[None]:
        try:
            yield
        except VaultError as error:
            raise ClusterUnavailable(
                f"Vault refuses {subject} ({str(error)[:300]}). Is it unsealed, and may VAULT_TOKEN do this?"
            ) from error
        except requests.RequestException as error:
            raise ClusterUnavailable(f"Vault at {self._address} does not answer. Check VAULT_ADDR.") from error


def _url_end(address: str) -> str:
    return f"@{address}"
