"""`make dev` itself, and with the image: DRIVER=docker."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from cloudx.devcluster.layout import DevFolder
from cloudx.devcluster.leftovers import our_containers, our_mounts, our_processes
from fixtures.servers.cluster_servers import ROOT
from fixtures.servers.containers import docker
from fixtures.tasks import submit
from rig.waiting import until

FOLDER = DevFolder(ROOT)
NET_RAW = 0x2000


def test_kill_9_of_make_ends_what_it_started_and_the_next_make_dev_waits_for_that_and_works(stopped_dev_cluster):
    if stopped_dev_cluster.process is not None:
        stopped_dev_cluster.stop()
    stopped_dev_cluster.start_by_make()
    os.kill(stopped_dev_cluster.process.pid, signal.SIGKILL)
    stopped_dev_cluster.process.wait(10)
    stopped_dev_cluster.start_by_make()
    assert stopped_dev_cluster.api("GET", "/api/ready").status_code == 200
    stopped_dev_cluster.stop(signal.SIGTERM)
    until(lambda: not our_processes(FOLDER) and not our_mounts(FOLDER), 60)


def test_with_docker_the_image_runs_read_only_with_net_raw_for_scanners_alone_and_leaves_no_container(
    stopped_dev_cluster,
):
    if stopped_dev_cluster.process is not None:
        stopped_dev_cluster.stop()
    stopped_dev_cluster.start_by_make("DRIVER=docker")
    scan_id = submit(stopped_dev_cluster, ports="1-8000")
    until(lambda: len(our_containers(FOLDER)) >= 4, 30)
    rights = {}
    for container in our_containers(FOLDER):
        about = json.loads(docker("inspect", container))[0]
        status = Path(f"/proc/{about['State']['Pid']}/status").read_text()
        assert about["HostConfig"]["ReadonlyRootfs"] and "NoNewPrivs:\t1" in status
        rights[about["Name"].strip("/").rsplit("-", 5)[0]] = int(status.split("CapBnd:")[1].split()[0], 16)
    assert rights == {"backend": 0, "node": NET_RAW, "scan": NET_RAW}
    stopped_dev_cluster.api("DELETE", f"/api/scans/{scan_id}")
    scanned = stopped_dev_cluster.shell("cloudx scan 127.0.0.1 --tool nmap --ports 8500 --json")
    assert json.loads(scanned.stdout)["status"] == "completed", scanned.stderr
    stopped_dev_cluster.stop(signal.SIGINT)
    until(lambda: not our_processes(FOLDER) and not our_mounts(FOLDER), 60)
    assert our_containers(FOLDER) == []


def test_kill_9_with_docker_is_recovered_from_too(stopped_dev_cluster):
    stopped_dev_cluster.start("--driver", "docker")
    first = our_containers(FOLDER)
    os.kill(stopped_dev_cluster.child_pid("nomad"), signal.SIGKILL)
    stopped_dev_cluster.stop(signal.SIGKILL)
    stopped_dev_cluster.start("--driver", "docker")
    assert len(first) >= 3
    assert not set(first) & set(our_containers(FOLDER))
    stopped_dev_cluster.stop()
    assert our_processes(FOLDER) == []
