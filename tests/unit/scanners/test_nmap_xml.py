"""nmap's XML, from friendly and from hostile hosts."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.scanners.nmap.scanner import RESULTS_FILE, Nmap
from fixtures.assignments import assign

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner="nmap" version="7.93">\n'
END = '<runstats><finished time="1795538480" elapsed="1" exit="success"/><hosts up="1"/></runstats>\n</nmaprun>\n'
OPEN = '<state state="open" reason="syn-ack" reason_ttl="64"/>'


def host(inside: str, ip: str = "198.51.100.3", status: str = 'state="up" reason="echo-reply"') -> str:
    return (
        f'<host starttime="1795538472" endtime="1795538480"><status {status}/>'
        f'<address addr="{ip}" addrtype="ipv4"/>{inside}</host>\n'
    )


def port(number: int, inside: str = OPEN, protocol: str = "tcp") -> str:
    return f'<port protocol="{protocol}" portid="{number}">{inside}</port>'


def observed(folder: Path, text: str) -> list[AnyFinding]:
    (folder / RESULTS_FILE).write_text(text)
    return list(Nmap().findings(assign("nmap", "default"), folder))


def findings(folder: Path, *ports: str) -> list[Finding]:
    return [
        finding
        for finding in observed(folder, HEAD + host(f"<ports>{''.join(ports)}</ports>") + END)
        if isinstance(finding, Finding)
    ]


def test_a_host_comes_with_its_names_system_and_open_ports(tmp_path: Path) -> None:
    service = '<service name="http" product="nginx" version="1.22.1" conf="10"><cpe>cpe:/a:nginx</cpe></service>'
    inside = (
        '<address addr="02:FC:00:00:00:05" addrtype="mac" vendor="Acme"/>'
        '<hostnames><hostname name="h3.example.org" type="PTR"/></hostnames>'
        '<ports><extraports state="closed" count="998"/>'
        + port(80, OPEN + service)
        + '</ports><os><osmatch name="Linux 5.4" accuracy="96"/><osmatch name="Linux 3.2" accuracy="90"/></os>'
    )
    first, second = observed(tmp_path, HEAD + host(inside) + END)
    assert isinstance(first, HostFinding)
    assert (first.state, first.hostname, first.os_name) == ("up", "h3.example.org", "Linux 5.4")
    mac = {"mac": "02:FC:00:00:00:05", "vendor": "Acme"}
    assert first.extra == {**mac, "os_accuracy": "96", "reason": "echo-reply"}
    assert isinstance(second, Finding)
    assert (second.ip, second.protocol, second.port, second.state) == ("198.51.100.3", "tcp", 80, "open")
    assert (second.service, second.hostname) == ("http", "h3.example.org")
    known = {"product": "nginx", "version": "1.22.1", "conf": "10", "cpe": ["cpe:/a:nginx"]}
    assert second.extra == {**known, "reason": "syn-ack"}


def test_ports_that_may_be_open_are_kept_and_closed_or_filtered_ones_are_not(tmp_path: Path) -> None:
    states = {1: "open", 2: "open|filtered", 3: "closed", 4: "filtered", 5: "unfiltered", 6: "closed|filtered"}
    ports = [port(number, f'<state state="{state}"/>', "udp") for number, state in states.items()]
    assert [(finding.port, finding.state) for finding in findings(tmp_path, *ports)] == [
        (1, "open"),
        (2, "open|filtered"),
    ]


def test_a_host_that_is_down_leaves_no_row(tmp_path: Path) -> None:
    assert observed(tmp_path, HEAD + host("", status='state="down" reason="no-response"') + END) == []


@pytest.mark.parametrize(
    ("ports", "state"),
    [
        ("", "unknown"),
        ('<ports><extraports state="filtered" count="1000"/></ports>', "unknown"),
        ('<ports><extraports state="closed" count="1000"/></ports>', "up"),
        (f"<ports>{port(80, '<state state=' + chr(34) + 'closed' + chr(34) + '/>')}</ports>", "up"),
        (f"<ports>{port(80)}</ports>", "up"),
    ],
)
def test_a_host_that_was_not_asked_whether_it_is_up_is_up_only_if_it_was_heard(
    tmp_path: Path, ports: str, state: str
) -> None:
    first = observed(tmp_path, HEAD + host(ports, status='state="up" reason="user-set"') + END)[0]
    assert first.state == state


@settings(max_examples=60)
@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=300))
def test_a_banner_is_text_whatever_it_says(tmp_path_factory: pytest.TempPathFactory, banner: str) -> None:
    quoted = quoteattr(banner, {"\x7f": "."})
    inside = f'{OPEN}<service name={quoted} product={quoted}/><script id="banner" output={quoted}/>'
    folder = tmp_path_factory.mktemp("banner")
    (finding,) = findings(folder, port(80, inside), port(81, '<state state="closed"/>'))
    assert finding.port == 80
    assert finding.service is None or finding.service in banner.replace("\x7f", ".")


def test_markup_in_a_service_name_stays_text(tmp_path: Path) -> None:
    name = quoteattr("<script>alert(1)</script><host>\"'&")
    (finding,) = findings(tmp_path, port(80, f"{OPEN}<service name={name}/>"))
    assert finding.service == "<script>alert(1)</script><host>\"'&"


def test_script_output_of_megabytes_is_cut(tmp_path: Path) -> None:
    scripts = "".join(f'<script id="s{n}" output="{"A" * 100_000}"/>' for n in range(50))
    (finding,) = findings(tmp_path, port(80, OPEN + scripts))
    assert len(finding.extra["scripts"]) == 30
    assert {len(output) for output in finding.extra["scripts"].values()} == {4000}


def test_an_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    head = f'<?xml version="1.0"?>\n<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file://{secret}">]>\n<nmaprun>'
    text = head + host(
        f"<ports>{port(80, OPEN + '<service name=' + chr(34) + 'a' + chr(34) + '><cpe>&x;</cpe></service>')}</ports>"
    )
    assert "hunter2" not in repr(observed(tmp_path, text + END))


def test_entities_that_multiply_do_not_fill_the_memory(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<?xml version="1.0"?>\n<!DOCTYPE nmaprun [<!ENTITY e0 "AAAAAAAAAA">{levels}]>\n<nmaprun>'
    inside = f"<ports>{port(80, OPEN + '<service name=' + chr(34) + '&e9;' + chr(34) + '/>')}</ports>"
    tracemalloc.start()
    try:
        observed(tmp_path, head + host(inside) + END)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_of_xml_that_was_cut_short_the_whole_hosts_are_read_and_it_has_not_succeeded(tmp_path: Path) -> None:
    text = (HEAD + host(f"<ports>{port(80)}</ports>") * 20 + END)[:-60]
    assert len(observed(tmp_path, text)) == 40
    assert not Nmap().succeeded(0, tmp_path)
    cut_in_the_last_host = text[: text.rindex("<ports>")]
    assert len(observed(tmp_path, cut_in_the_last_host)) == 38


@pytest.mark.parametrize(
    "odd",
    [
        "abc&#x1;",
        "abc&#1;&#31;",
        "abc\x01\x1b",
        "abc" + "A" * 11_000_000,
        "abc\ufffe",
    ],
    ids=["reference to a control", "two of them", "control bytes", "eleven megabytes", "no character"],
)
def test_one_hosts_odd_text_costs_that_text_alone(tmp_path: Path, odd: str) -> None:
    plain = host(f"<ports>{port(80)}</ports>")
    service = f'<service name="{odd}" product="File server"/>'
    strange = host(f"<ports>{port(445, OPEN + service)}</ports>")
    seen = observed(tmp_path, HEAD + plain + strange + plain + END)
    ports = [finding for finding in seen if isinstance(finding, Finding)]
    assert [finding.port for finding in ports] == [80, 445, 80]
    assert (ports[1].service or "").startswith("abc")
    assert ports[1].extra["product"] == "File server"


def test_bytes_that_are_no_utf_8_cost_one_character(tmp_path: Path) -> None:
    text = HEAD + host(f"<ports>{port(80, OPEN + '<service name=' + chr(34) + 'abXc' + chr(34) + '/>')}</ports>") + END
    (tmp_path / RESULTS_FILE).write_bytes(text.encode().replace(b"abXc", b"ab\xffc"))
    (finding,) = [
        finding for finding in Nmap().findings(assign("nmap", "default"), tmp_path) if isinstance(finding, Finding)
    ]
    assert finding.service == "ab\ufffdc"


def test_tables_deeper_than_a_parser_goes_cost_the_tables_alone(tmp_path: Path) -> None:
    deep = '<script id="s" output="said">' + "<table>" * 3000 + "<elem>x</elem>" + "</table>" * 3000 + "</script>"
    plain = host(f"<ports>{port(80)}</ports>")
    seen = observed(tmp_path, HEAD + host(f"<ports>{port(22, OPEN + deep)}</ports>") + plain + END)
    ports = [finding for finding in seen if isinstance(finding, Finding)]
    assert [finding.port for finding in ports] == [22, 80]
    assert ports[0].extra["scripts"] == {"s": "said"}


@pytest.mark.parametrize(
    ("exit_code", "text", "succeeded"),
    [
        (0, HEAD + END, True),
        (1, HEAD + END, False),
        (-15, HEAD + END, False),
        (0, HEAD, False),
        (0, HEAD + END.replace("success", "error"), False),
        (0, "", False),
        (0, None, False),
    ],
)
def test_only_a_whole_run_has_succeeded(tmp_path: Path, exit_code: int, text: str | None, succeeded: bool) -> None:
    if text is not None:
        (tmp_path / RESULTS_FILE).write_text(text)
    assert Nmap().succeeded(exit_code, tmp_path) is succeeded


def test_a_file_of_ten_times_the_hosts_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for hosts in (10, 10, 100):  # the first for what is loaded at the first use
        host_text = host("<ports>" + "".join(port(number) for number in range(1, 101)) + "</ports>")
        (tmp_path / RESULTS_FILE).write_text(HEAD + host_text * hosts + END)
        tracemalloc.start()
        try:
            assert sum(1 for _ in Nmap().findings(assign("nmap", "default"), tmp_path)) == hosts * 101
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] <= 1.2 * peaks[1]


def test_of_ports_that_were_found_open_before_the_shut_ones_are_told_too(tmp_path: Path) -> None:
    group = '<extraports state="filtered" count="3"><extrareasons reason="no-response" proto="tcp" ports="7,90-91"/>'
    closed = '<state state="closed" reason="reset"/>'
    inside = f"<ports>{group}</extraports>{port(80)}{port(81, closed)}</ports>"
    (tmp_path / RESULTS_FILE).write_text(HEAD + host(inside) + END)
    asked = replace(assign("nmap", "default", "198.51.100.3", ports="7,80,81,90,91"), are_known_open=True)
    told = [one for one in Nmap().findings(asked, tmp_path) if isinstance(one, Finding)]
    shut = {(one.port, one.state, one.extra["reason"]) for one in told if one.state != "open"}
    assert shut == {
        (7, "filtered", "no-response"),
        (90, "filtered", "no-response"),
        (91, "filtered", "no-response"),
        (81, "closed", "reset"),
    }
    assert [one.port for one in told if one.state == "open"] == [80]
