"""Webhooks as they run: made by the command line, sent by the API's own rounds, never to where they may not go."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from cloudx.adapters.receivers import http as receivers_http
from cloudx.adapters.receivers.http import HttpReceivers
from cloudx.domain.webhooks.reachable import networks_of
from cloudx.domain.webhooks.signature import signature
from cloudx.services.webhooks.ports import NotDelivered
from rig.waiting import until

ROOT = Path(__file__).parents[2]
LOOPBACK = networks_of(("127.0.0.0/8",))


def test_a_webhook_of_the_command_line_hears_of_a_scan_from_whichever_process_ends_it(new_service, receiver):
    service = new_service(CLOUDX_WEBHOOK_NETWORKS="127.0.0.1/32")
    service.start()
    added = service.cloudx("webhooks", "add", f"{receiver.url}/hook", "--event", "scan.finished")
    assert added.returncode == 0, added.stderr
    secret = added.stdout.splitlines()[0]
    scan_id = service.scan(target="127.0.0.1", tool="nmap", scan_type="tcp", port="1-100")
    until(lambda: receiver.got, 60)
    headers, body = receiver.got[0]
    assert receiver.bodies[0]["data"]["scan_id"] == scan_id
    assert documented_check()(secret, headers["x-cloudx-signature"], body)
    until(lambda: service.call("GET", "/api/webhooks").json()[0]["last_delivery"], 30)
    listed = service.cloudx("webhooks", "list", "--json")
    assert '"outcome":"delivered"' in listed.stdout.replace(" ", "")
    assert secret not in listed.stdout
    webhook_id = service.call("GET", "/api/webhooks").json()[0]["id"]
    assert "thank you" in service.cloudx("webhooks", "list", COLUMNS="300").stdout
    assert service.cloudx("webhooks", "remove", webhook_id).returncode == 0
    assert service.call("GET", "/api/webhooks").json() == []


def documented_check():
    """The function of docs/webhooks.md, as readers copy it."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text(), re.S)
    names: dict[str, object] = {}
    exec(code, names)
    return names["is_genuine"]


def test_the_documented_check_takes_what_is_genuine_and_nothing_else():
    is_genuine = documented_check()
    body, now = b'{"a":1}', 1_700_000_000
    assert not is_genuine("s" * 16, "t=1700000000,v1=" + "0" * 64, body, now)
    header = signature("s" * 16, body, now)
    assert is_genuine("s" * 16, header, body, now)
    for secret, text, told, at in (
        ("x" * 16, header, body, now),
        ("s" * 16, header, body + b" ", now),
        ("s" * 16, header, body, now + 301),
        ("s" * 16, header.replace("t=17", "t=16"), body, now),
        ("s" * 16, "", body, now),
        ("s" * 16, "nonsense", body, now),
    ):
        assert not is_genuine(secret, text, told, at)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]", "2130706433", "0x7f.1", "127.1"]
)
def test_nothing_is_sent_to_this_machine_however_it_is_called(receiver, host):
    with pytest.raises(NotDelivered, match="Not sent: "):
        HttpReceivers().post(f"http://{host}:{receiver.url.rpartition(':')[2]}/", {}, b"{}")
    assert receiver.got == []


SEND_TO_OWN = """
from cloudx.adapters.receivers.http import HttpReceivers
from cloudx.services.webhooks.ports import NotDelivered
for url in ("http://9.9.9.9/", "http://[2620:fe::fe]/"):
    try:
        HttpReceivers().post(url, {}, b"")
    except NotDelivered as error:
        print(error)
"""


def test_a_public_address_of_this_machine_is_known_as_its_own():
    """In a network namespace of its own. Needs root."""
    set_up = "ip link set lo up; ip addr add 9.9.9.9/32 dev lo; ip -6 addr add 2620:fe::fe/128 dev lo nodad"
    command = ["unshare", "--net", "sh", "-c", f'{set_up}; exec "$0" -c "$1"', sys.executable, SEND_TO_OWN]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert [line.partition(". ")[0] for line in said] == [
        "Not sent: 9.9.9.9 is this machine's own",
        "Not sent: 2620:fe::fe is this machine's own",
    ]


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(receiver, monkeypatch):
    """A name that changes its address between two look-ups (DNS rebinding) is looked up once."""
    asked = []

    def rebinding(host: str, port: int, *arguments: object, **options: object) -> object:
        asked.append(host)
        ip = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    port = int(receiver.url.rpartition(":")[2])
    monkeypatch.setattr(socket, "getaddrinfo", _only_for("rebind.example", rebinding))
    answer = HttpReceivers(LOOPBACK).post(f"http://rebind.example:{port}/", {}, b"{}")
    assert answer.http_status == 200
    assert asked == ["rebind.example"]
    assert receiver.got[0][0]["host"] == f"rebind.example:{port}"


def _only_for(ending, answer):
    real = socket.getaddrinfo
    return lambda host, *rest, **options: (answer if host.endswith(ending) else real)(host, *rest, **options)


def test_a_redirect_is_not_followed(receiver):
    receiver.statuses = [307]
    answer = HttpReceivers(LOOPBACK).post(receiver.url, {}, b"{}")
    assert answer.http_status == 307
    assert not answer.is_taken
    assert "no redirect is followed" in answer.text
    assert len(receiver.got) == 1


def test_a_receiver_that_drips_is_left_and_one_that_never_ends_is_read_in_part(monkeypatch):
    monkeypatch.setattr(receivers_http, "WHOLE_SECONDS", 0.5)
    with dripping(b"HTTP/1.1 200 OK\r\nX: ") as url, pytest.raises(NotDelivered):
        HttpReceivers(LOOPBACK).post(url, {}, b"{}")
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000) as url:
        assert len(HttpReceivers(LOOPBACK).post(url, {}, b"{}").text) == receivers_http.ANSWER_BYTES


@contextmanager
def dripping(first: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that sends this, then a byte each 20 ms until its client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as plain:
                taken = tls.wrap_socket(plain, server_side=True) if tls else plain
                taken.recv(65536)
                taken.sendall(first)
                while not tls:
                    time.sleep(0.02)
                    taken.sendall(b"x")
                taken.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)


def test_a_certificate_is_held_to_the_name(tmp_path, monkeypatch):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subject = ["-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", _only_for(".example", lambda *_arguments, **_options: here))
    answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    for name, context, is_good in (
        ("hook.example", trusting, True),
        ("other.example", trusting, False),
        ("hook.example", None, False),
    ):
        with dripping(answer, server) as url:
            post = partial(HttpReceivers(LOOPBACK, context).post, url.replace("127.0.0.1", name), {}, b"{}")
            if is_good:
                assert post().http_status == 204
            else:
                with pytest.raises(NotDelivered, match="certificate is not good"):
                    post()


def test_only_admins_see_webhooks_and_a_bad_one_names_its_field(api):
    good = {"url": "https://93.184.216.34/x", "events": ["scan.finished", "node.lost"]}
    made = api.post("/api/webhooks", good)
    assert made.status_code == 201
    assert made.json["secret"].startswith("cxwh_")
    (listed,) = api.get("/api/webhooks").json
    assert listed == {name: value for name, value in made.json.items() if name != "secret"}
    assert listed["events"] == good["events"] and listed["last_delivery"] is None
    for token in (None, api.token("viewer"), api.token("operator")):
        assert api.get("/api/webhooks", token=token).status_code in (401, 403)
        assert api.post("/api/webhooks", good, token=token).status_code in (401, 403)
    for change, field in (
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["fish"]}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "ä" * 20}, "secret"),
    ):
        answer = api.post("/api/webhooks", good | change)
        assert (answer.status_code, answer.json["details"]["field"].partition(".")[0]) == (400, field)
    own = api.post("/api/webhooks", good | {"secret": "0123456789abcdef"})
    assert own.json["secret"] == "0123456789abcdef"
    assert api.call("DELETE", f"/api/webhooks/{listed['id']}").status_code == 200
    assert api.call("DELETE", f"/api/webhooks/{listed['id']}").status_code == 404
