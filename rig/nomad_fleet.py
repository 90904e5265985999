"""The production shape: three servers each, an agent of Nomad and of Consul on each VPS, and the files of jobs/."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import requests
from typing_extensions import override

from cloudx import __version__
from cloudx.cluster.admit import AdmitMachine, MachineKind
from cloudx.cluster.bootstrap import cluster_identities
from cloudx.cluster.identities import ClusterPlan, SetUpIdentities
from cloudx.cluster.identity_ports import DatabaseAdmin
from cloudx.config import load_settings
from cloudx.devcluster.jobs import JOBS
from cloudx.devcluster.programs import PLUGIN, find_servers
from cloudx.devcluster.programs import SERVERS as PROGRAMS

from . import consul_agents, front, nomad_agents, vault
from .api import Api
from .environment import CLOUDX, plain_environment
from .layout import CHECKOUT, DATABASE, SERVERS, ip_of
from .postgres import ADDRESS as DATABASE_ADDRESS
from .postgres import KEY as POSTGRES_KEY
from .postgres import Postgres
from .rig import Rig, RigFailed
from .tokens import Tokens

HEALTHY_SECONDS = 300.0


class NomadRig(Rig):
    """`settings` go to the backend, `variables` to every job. The servers' machines are the control nodes.

    Tasks are processes, since a Docker would run its containers in its own network, not in that of the VPS.
    """

    kind = "nomad"
    servers = SERVERS

    def __init__(
        self,
        vpses: int,
        settings: dict[str, str] | None = None,
        variables: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(vpses, **options)
        self._variables = variables or {}
        self._settings = settings or {}
        self._tokens = Tokens()
        self._vault_token = ""
        self._admin_token = ""
        self._programs: dict[str, Path] = {}

    @property
    @override
    def api(self) -> Api:
        return Api(front.URL, self._admin_token)

    @property
    @override
    def programs(self) -> str:
        return str(self.folder.path / "bin")

    @property
    @override
    def shell(self) -> dict[str, str]:
        own = {"CLOUDX_URL": front.URL, "CLOUDX_TOKEN": self._admin_token}
        return own | self._servers_of_the_shell() | self._job_variables()

    @override
    def announce(self) -> None:
        self.say(f"  Nomad          {nomad_agents.URLS[0]}/ui/")
        self.say(f"  Consul         {consul_agents.URL}/ui/")
        self.say(f"  Vault          {vault.URL}")
        self.say(f"  Fabio          {front.PAGE}/")
        super().announce()

    @override
    def start_fleet(self) -> None:
        self._programs = find_servers(CHECKOUT, *PROGRAMS, PLUGIN, stopping=self.stopping)
        self._link_programs()
        database = Postgres(self.folder)
        database.initialise()
        self.launch(database.launch())
        self.launch(vault.launch(self.folder, self._programs["vault"], self._programs[PLUGIN]))
        self._start_servers()
        self.wait("PostgreSQL", database.is_ready, key=POSTGRES_KEY)
        self._set_up(database)
        self.write_env()  # people may use the servers while they wait for the rest
        self._start_clients()
        self._run_jobs()
        self.launch(front.launch(self.folder, self._programs["fabio"], self._tokens))
        self.wait("the API through Fabio", self.api.is_ready, HEALTHY_SECONDS, front.KEY)
        self.say("The API answers; waiting for the VPSes …")
        self.wait("healthy VPSes", self.is_healthy, HEALTHY_SECONDS)

    def is_healthy(self) -> bool:
        """True if the API shows every VPS as healthy, by Consul, Nomad and heartbeat."""
        nodes = self.api.nodes()
        return all(nodes.get(machine) == "healthy" for machine in self.vpses)

    def nomad(self, path: str) -> Any:
        """GET of Nomad's API, from the first server that answers; None if none does."""
        for url in nomad_agents.URLS:
            try:
                answer = requests.get(f"{url}/v1/{path}", headers={"X-Nomad-Token": self._tokens.nomad}, timeout=5)
            except requests.RequestException:
                continue
            if answer.ok:
                return answer.json()
        return None

    def leader(self) -> str:
        """The machine that leads Nomad now; empty if there is none."""
        address = self.nomad("status/leader") or ""
        return next((server for server in SERVERS if address.startswith(f"{ip_of(server)}:")), "")

    def consul(self, path: str) -> Any:
        """GET of Consul's API; None if it does not answer."""
        try:
            headers = {"X-Consul-Token": self._tokens.consul}
            answer = requests.get(f"{consul_agents.URL}/v1/{path}", headers=headers, timeout=5)
        except requests.RequestException:
            return None
        return answer.json() if answer.ok else None

    def _start_servers(self) -> None:
        for machine in SERVERS:
            self.launch(consul_agents.server_launch(self.folder, self._programs["consul"], self._tokens, machine))
        self.wait("Consul's access control", lambda: self.consul("acl/token/self"), key=f"{SERVERS[0]}.consul")
        identities = self._identities("")
        admit = AdmitMachine(identities.files, identities.consul)
        for machine in SERVERS:
            self._tokens.of_agents[machine] = admit.run(machine, MachineKind.CONTROL)
        for machine in self.vpses:
            self._tokens.of_agents[machine] = admit.run(machine, MachineKind.VPS)
        for machine in SERVERS:
            self.launch(nomad_agents.server_launch(self.folder, self._programs["nomad"], self._tokens, machine))
        for machine in self.vpses:
            self.launch(consul_agents.client_launch(self.folder, self._programs["consul"], self._tokens, machine))

    def _set_up(self, database: Postgres) -> None:
        self.wait("Vault", vault.answers, key=vault.KEY)
        self._vault_token = vault.initialise(self.folder)
        self.wait("Vault, unsealed", vault.is_active, key=vault.KEY)
        self.wait("Nomad's leader", self._nomad_leads, key=f"{SERVERS[0]}.nomad")
        identities = self._identities(database.admin_url)
        identities.nomad.bootstrap(self._tokens.nomad)
        keys = f"{nomad_agents.URLS[0]}/.well-known/jwks.json"
        self.wait("Nomad's keys", lambda: requests.get(keys, timeout=5).json()["keys"], key=f"{SERVERS[0]}.nomad")
        plugin = vault.plugin_file(self.folder)
        identities.run(ClusterPlan(jwks_url=keys, database_address=DATABASE_ADDRESS, vault_plugin=plugin))
        identities.consul.put_token(self._tokens.front, "the rig's front door", ("cloudx-fabio",))
        self._admin_token = identities.admin_token()
        self.say("The servers run, their identities are set up.")

    def _start_clients(self) -> None:
        for machine in self.vpses:
            self.launch(nomad_agents.client_launch(self.folder, self._programs["nomad"], self._tokens, machine))
        self.wait("Nomad's clients", self._clients_are_ready, key=f"{self.vpses[0]}.nomad")

    def _run_jobs(self) -> None:
        environment = plain_environment(**self._servers_of_the_shell(), **self._job_variables())
        for name in JOBS:
            file = CHECKOUT / f"jobs/{name}.nomad.hcl"
            command = [str(self._programs["nomad"]), "job", "run", "-detach", str(file)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RigFailed(f"{file} does not run: {(done.stdout + done.stderr).strip()}")

    def _identities(self, database_admin: str) -> SetUpIdentities:
        settings = load_settings(self._servers_of_the_shell())
        return cluster_identities(settings, CHECKOUT, DatabaseAdmin(database_admin, DATABASE))

    def _servers_of_the_shell(self) -> dict[str, str]:
        return {
            "NOMAD_ADDR": nomad_agents.URLS[0],
            "NOMAD_TOKEN": self._tokens.nomad,
            "CONSUL_HTTP_ADDR": consul_agents.URL,
            "CONSUL_HTTP_TOKEN": self._tokens.consul,
            "VAULT_ADDR": vault.URL,
            "VAULT_TOKEN": self._vault_token,
        }

    def _job_variables(self) -> dict[str, str]:
        variables = {
            "driver": "raw_exec",
            "command": CLOUDX,
            "version": __version__,
            "database": DATABASE_ADDRESS,
            "fabio_command": str(self._programs["fabio"]),
            "primary_url": front.URL,
        } | self._variables
        if self._settings:
            variables["settings"] = json.dumps(self._settings)
        return {f"NOMAD_VAR_{name}": value for name, value in variables.items()}

    def _nomad_leads(self) -> bool:
        try:
            return ":" in requests.get(f"{nomad_agents.URLS[0]}/v1/status/leader", timeout=5).text
        except requests.RequestException:
            return False

    def _clients_are_ready(self) -> bool:
        nodes = self.nomad("nodes") or []
        return {node["Name"] for node in nodes if node["Status"] == "ready"} == {*self.vpses, *SERVERS}

    def _link_programs(self) -> None:
        folder = Path(self.programs)
        folder.mkdir()
        for name in PROGRAMS:
            (folder / name).symlink_to(self._programs[name])
