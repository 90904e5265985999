"""Nomad's access control, by python-nomad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from nomad import Nomad
from nomad.api.exceptions import BaseNomadException
from typing_extensions import override

from cloudx.cluster.identity_ports import NomadAcl
from cloudx.domain.errors import ClusterUnavailable

ACL_TIMEOUT_SECONDS = 10


class NomadAclClient(NomadAcl):
    """Implements NomadAcl."""

    def __init__(self, address: str, token: str | None) -> None:
        self._address = address
        secure = urlsplit(address).scheme == "https"
        # verify: by default python-nomad accepts any certificate.
        self._nomad = Nomad(address=address, token=token, timeout=ACL_TIMEOUT_SECONDS, secure=secure, verify=secure)

    @override
    def bootstrap(self, secret: str) -> None:
        # Not by python-nomad: its generate_bootstrap cannot choose the secret.
        try:
            answer = requests.post(
                f"{self._address}/v1/acl/bootstrap", json={"BootstrapSecret": secret}, timeout=ACL_TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise _unreachable(self._address) from error
        if not answer.ok and "already done" not in answer.text:
            raise ClusterUnavailable(f"Nomad refuses its first token ({answer.status_code} {answer.text[:200]}).")

    @override
    def put_job_policy(self, name: str, rules: str, namespace: str, job_id: str) -> None:
        body = {
            "Name": name,
            "Description": f"Cloud-X: the tasks of job {job_id}",
            "Rules": rules,
            "JobACL": {"Namespace": namespace, "JobID": job_id},
        }
        with self._refusals(f"policy {name}"):
            self._nomad.acl.create_policy(name, body)

    @override
    def put_node_pool(self, name: str, description: str) -> None:
        body = {"Name": name, "Description": description}
        with self._refusals(f"node pool {name}"):
            # python-nomad has no node pools.
            self._nomad.node.request("pool", name, json=body, method="post")

    @contextmanager
    def _refusals(self, subject: str) -> Iterator[None]:
        try:
            yield
        except BaseNomadException as error:
            response = getattr(error.nomad_resp, "status_code", None)
            if response is None:
                raise _unreachable(self._address) from error
            raise ClusterUnavailable(
                f"Nomad refuses {subject} ({response} {error.nomad_resp.text[:200]}). "
                "Check that NOMAD_TOKEN is a management token."
            ) from error


def _unreachable(address: str) -> ClusterUnavailable:
    return ClusterUnavailable(f"Nomad at {address} does not answer. Check NOMAD_ADDR.")
