"""What an operator reads in Consul's page, in a real browser: versions, machines, and a failing check's remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from cloudx.devcluster.layout import DATABASE, POSTGRES_PORT
from fixtures.servers.browser import Page, open_page
from fixtures.servers.cluster import NODE_CHECKS, DevCluster
from fixtures.tasks import passing_instances
from rig.waiting import until

LINKS = "Array.from(document.querySelectorAll('a')).map(a => a.href)"


class ConsulPage:
    """Consul's page with somebody logged in, as its own form keeps them: in the browser's local storage."""

    def __init__(self, page: Page, cluster: DevCluster, pictures: Path) -> None:
        self._page, self._pictures = page, pictures
        self._url = cluster.environment["CONSUL_HTTP_ADDR"]
        secret = cluster.environment["CONSUL_HTTP_TOKEN"]
        known = {"AccessorID": cluster.consul("acl/token/self")["AccessorID"], "SecretID": secret}
        page.go_to(f"{self._url}/ui/")
        page.run(f"localStorage.setItem('consul:token', {json.dumps(json.dumps(known))})")

    def read(self, path: str, *expected: str) -> str:
        """The text of a page once these words are there."""
        self._page.go_to(f"{self._url}/ui/dc1/{path}")
        text = self._page.wait_for(*expected)
        self._page.photograph(self._pictures / f"{path.replace('/', '-')[:60]}.png")
        return text

    def follow(self, link: str, *expected: str) -> str:
        """Click a link of the page; its text once these words are there."""
        self._page.run(
            f"[...document.querySelectorAll('a')].find(a => a.innerText.includes({json.dumps(link)})).click()"
        )
        text = self._page.wait_for(*expected)
        self._page.photograph(self._pictures / "followed.png")
        return text

    def first_instance(self, service: str) -> str:
        """The path of an instance's own page."""
        self.read(f"services/{service}/instances", service, "checks")
        links = self._page.run(f"{LINKS}.filter(href => href.includes('/{service}/instances/'))")
        return str(links[0]).split("/ui/dc1/")[1]


@pytest.fixture
def consul_page(dev_cluster: DevCluster, tmp_path: Path) -> Iterator[ConsulPage]:
    """Logged in with the token of .dev/env; pictures go to the test's folder."""
    with open_page(tmp_path) as page:
        yield ConsulPage(page, dev_cluster, tmp_path)


def test_without_a_token_the_page_shows_no_service(dev_cluster, tmp_path):
    with open_page(tmp_path) as page:
        page.go_to(f"{dev_cluster.environment['CONSUL_HTTP_ADDR']}/ui/dc1/services")
        assert "cloudx-backend" not in page.wait_for("Log in")


def test_each_service_and_each_instance_of_it_is_named_with_its_version_and_its_machine(consul_page, dev_cluster):
    (node,) = dev_cluster.nomad("nodes")
    consul_page.read("services", "cloudx-backend", "cloudx-node", "fabio")
    for service in ("cloudx-backend", "cloudx-node", "fabio"):
        version = dev_cluster.consul(f"health/service/{service}")[0]["Service"]["Meta"]["version"]
        consul_page.read(f"services/{service}/instances", f"version={version}", f"node={node['Name']}", "127.0.0.1:")


def test_an_instance_of_the_node_agent_shows_what_it_checks_and_whose_it_is(consul_page, dev_cluster):
    path = consul_page.first_instance("cloudx-node")
    text = consul_page.read(path, *NODE_CHECKS)
    assert "raw sockets open" in text
    assert "nmap 7" in text
    node_id = dev_cluster.nomad("nodes")[0]["ID"]
    consul_page.follow("Tags & Meta", "version", "node_id", node_id, "hostname")


@contextmanager
def database_closed(cluster: DevCluster) -> Iterator[None]:
    """PostgreSQL takes no connection to the product's database."""
    password = (cluster.folder / "postgres-password").read_text().strip()
    url = f"postgresql://postgres:{password}@127.0.0.1:{POSTGRES_PORT}/postgres"
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE])
            try:
                yield
            finally:
                cursor.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")


def test_a_failing_check_says_what_is_wrong_and_what_to_do(consul_page, dev_cluster):
    path = consul_page.first_instance("cloudx-backend")
    with database_closed(dev_cluster):
        text = consul_page.read(path, "ready", "503 SERVICE UNAVAILABLE", "unready")
    assert "The database does not answer" in text
    assert "does the database run, and does DATABASE_URL name it?" in text
    until(lambda: len(passing_instances(dev_cluster)) == 2, 60)
