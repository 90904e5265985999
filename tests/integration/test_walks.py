"""Three values on their way through the real code, step by step as docs/architecture.md tells it."""

from __future__ import annotations

from pathlib import Path

import structlog

from cloudx.bootstrap.worker import scanners_by_tool
from cloudx.domain.tools import Tool
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.finish import RunOutput
from cloudx.services.chunks.queue import Claimant
from cloudx.services.chunks.scanner_port import Assignment, Command
from cloudx.worker.finish_chunk import FinishChunk
from cloudx.worker.scanner_process import ScannerProcess
from fixtures.assignments import EGRESS
from fixtures.capabilities import CAPABILITIES
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN
from rig.waiting import until

TARGET = "10.77.3.9"
RECORD = (
    b'{"ip":"10.77.3.9","timestamp":"1795538204","port":80,"proto":"tcp","rec_type":"status",'
    b'"data":{"status":"open","reason":"syn-ack","ttl":64}}\n'
)


def claimed(api, scan_id):
    """The scan's one chunk, as a worker claims it."""
    claim = ClaimChunk(api.open_ledger, PolicyCache())(Claimant("vps1/w", "vps1", CAPABILITIES, 100_000, scan_id))
    assert claim is not None
    return claim


def assigned(claim):
    """As worker/run_chunk.py hands it to a scanner."""
    return Assignment(claim.scan.type, claim.addresses, claim.ports, claim.lease.rate_pps, True, EGRESS)


def test_a_target_walks_from_the_request_to_the_file_that_the_scanner_reads(api, tmp_path):
    api.register()
    # 1 api/routes/scans.py parses the body; 2–5 services/scans/submit.py reads, checks, plans and writes it.
    scan_id = api.submit(target=f"{TARGET}/32", tool="masscan", port="80")
    with api.open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
        (chunk,) = ledger.chunks.records(scan_id, -1, 10)
    assert record is not None and record.scan.addresses.texts() == [TARGET]
    assert (chunk.span.address_start, chunk.span.address_count) == (0, 1)
    # 6–8 services/chunks/claim.py leases the chunk and turns its offsets into addresses again.
    claim = claimed(api, scan_id)
    assert claim.addresses.texts() == [TARGET]
    # 9–10 scanners/masscan/scanner.py builds argv and files: the target is in a file, never in argv.
    scanner = scanners_by_tool()[Tool.MASSCAN]
    command = scanner.command(assigned(claim), tmp_path)
    assert not any(TARGET in argument for argument in command.argv)
    assert command.argv[:3] == ["masscan", "-iL", str(tmp_path / "targets")]
    # 11 worker/scanner_process.py writes the file, for its owner alone, and starts the scanner.
    process = ScannerProcess(Command(["cat", str(tmp_path / "targets")], command.files), tmp_path)
    stdout, stderr = process.streams
    with stdout, stderr:
        assert stdout.read().split() == [TARGET.encode()]
    assert process.wait() == 0
    assert Path(tmp_path / "targets").stat().st_mode & 0o777 == 0o600


def test_a_finding_walks_from_the_tools_record_to_the_answer(api, tmp_path):
    api.register()
    scan_id = api.submit(target=TARGET, tool="masscan", port="80")
    claim = claimed(api, scan_id)
    scanner = scanners_by_tool()[Tool.MASSCAN]
    # 1–3 a record comes twice into masscan's file; scanners/masscan/records.py keeps the first reply to each probe.
    (tmp_path / "results.ndjson").write_bytes(RECORD * 2)
    process = ScannerProcess(Command(["true"]), tmp_path)
    list(scanner.follow(assigned(claim), tmp_path, *process.streams))
    assert process.wait() == 0
    # 4 the reply becomes a finding; 5 worker/finish_chunk.py commits it.
    # 6–8 services/chunks/finish.py stores its row and marks the chunk done.
    finish = FinishChunk(api.open_ledger, claim, structlog.get_logger())
    finish.complete(lambda: RunOutput(scanner.findings(assigned(claim), tmp_path)), is_dropped=lambda: False)
    # 9–11 GET results: services/scans/results.py reads a page of rows, api/ shows it.
    (item,) = api.get(f"/api/scans/{scan_id}/results?format=json").json["items"]
    shown = (item["ip"], item["protocol"], item["port"], item["state"], item["node_id"], item["observed_at"])
    assert shown == (TARGET, "tcp", 80, "open", "vps1", "2026-11-24T16:36:44Z")
    assert api.get(f"/api/scans/{scan_id}").json["status"] == "completed"


def test_a_nodes_status_walks_from_consuls_check_to_the_list_of_nodes(new_gunicorn, new_consul):
    consul = new_consul()
    api = new_gunicorn(CONSUL_HTTP_ADDR=consul.url, CONSUL_HTTP_TOKEN=MANAGEMENT_TOKEN, WEB_CONCURRENCY="1")
    # 1–3 Consul's check changes; 4–8 the blocking query returns, is joined and encoded; 9–10 GET /api/nodes.
    consul.register_node("vps1", "passing", "open", version="7")
    until(lambda: statuses(api).get("vps1") == "healthy", 10, lambda: statuses(api))
    consul.register_node("vps1", "critical", "no raw socket: give it CAP_NET_RAW", version="7")
    until(lambda: statuses(api).get("vps1") == "critical", 10, lambda: statuses(api))


def statuses(api):
    return {node["node_id"]: node["status"] for node in api.get("/api/nodes").json()}
