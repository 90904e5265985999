"""Port sets, against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.errors import InvalidInput, TooLarge
from cloudx.domain.port_set import MAX_RANGES, PortSet
from cloudx.domain.service_names import PORT_OF_SERVICE
from cloudx.domain.tools import SCAN_TYPES, ScanType, Tool

PORTS = st.frozensets(st.integers(1, 60) | st.integers(65530, 65535), min_size=1, max_size=40)


def of_ports(ports: frozenset[int]) -> PortSet:
    return PortSet.of([(port, port) for port in ports])


def ports_of(made: PortSet) -> list[int]:
    return [port for first, last in made.ranges for port in range(first, last + 1)]


@given(PORTS)
def test_a_set_holds_its_ports_once_in_order_and_reads_back_as_written(ports: frozenset[int]) -> None:
    made = of_ports(ports)
    assert ports_of(made) == sorted(ports)
    assert made.size == len(ports)
    assert PortSet.parse(str(made)) == made
    for index, port in enumerate(sorted(ports)):
        assert made.index_of(port) == index
    for port in set(range(1, 70)) - ports:
        assert made.index_of(port) is None


@given(PORTS, st.integers(1, 9))
def test_slices_cover_a_set_exactly(ports: frozenset[int], count: int) -> None:
    made = of_ports(ports)
    slices = [made.slice(start, count) for start in range(0, made.size, count)]
    assert [port for part in slices for port in ports_of(part)] == sorted(ports)


@pytest.mark.parametrize(
    ("text", "shown", "size"),
    [(80, "80", 1), ("80", "80", 1), ("80,443", "80,443", 2), ("1-1000", "1-1000", 1000), (" 80 , 81", "80-81", 2),
     ("1-65535", "1-65535", 65535), ("443,80,80-90,85-100", "80-100,443", 22), ("080", "80", 1),
     ("-", "1-65535", 65535), ("1-", "1-65535", 65535), ("65000-", "65000-65535", 536), ("-1024", "1-1024", 1024),
     ("http", "80", 1), ("HTTP,https", "80,443", 2), ("ms-sql-s,22", "22,1433", 2), ("ssh ftp-data", "20,22", 2),
     ("80,", "80", 1), (",80,,443,", "80,443", 2), ("80 443", "80,443", 2), ("80\n443\t8080", "80,443,8080", 3),
     ("80 - 90", "80-90", 11), ("80- 90", "80-90", 11), ("80 -90", "80-90", 11), ("22, -1024", "1-1024", 1024),
     ("T:80", "80", 1), ("t:80,443", "80,443", 2), ("80\n", "80", 1),
     ("T:80,U:53", "T:80,U:53", 2), ("U:53,161,T:http,443", "T:80,443,U:53,161", 4), ("22,U:domain", "T:22,U:53", 2),
     ("U:53", "U:53", 1), ("u: 53-55, T: 80", "T:80,U:53-55", 4)],
)  # fmt: skip
def test_every_form_people_and_nmap_write_is_read(text: str | int, shown: str, size: int) -> None:
    made = PortSet.parse(text)
    assert (str(made), made.size) == (shown, size)
    assert PortSet.parse(str(made)) == made  # as the ledger keeps it


@pytest.mark.parametrize(
    "text",
    ["", ",", " ", "0", "65536", "99999", "999999", "123456", "-0", "65536-", "-65536", "-80-", "90-80", "1-2-3",
     "80;90", "no-such-service", "http-", "http-https", "S:80", "P:6", "T:", "U:,", "X:80", "T:T:80", "*",
     "http*", "[80]",
     "1e3", "0x50", "٨٠", "80\0", "-p1", "--top-ports", "--", "1-65536", "0-10", -1, 0, 65536, 10**30],
)  # fmt: skip
def test_what_is_no_port_is_refused_with_its_field(text: str | int) -> None:
    with pytest.raises(InvalidInput) as caught:
        PortSet.parse(text, "port")
    assert caught.value.details["field"] == "port"


SENDS_BOTH = {name for (tool, name), scan_type in SCAN_TYPES.items() if scan_type.may_send_udp and tool is Tool.NMAP}


@pytest.mark.parametrize("scan_type", SCAN_TYPES.values(), ids=lambda one: f"{one.tool}-{one.name}")
def test_a_protocol_that_a_type_does_not_send_is_refused_with_the_remedy(scan_type: ScanType) -> None:
    own, other = ("U:", "T:") if scan_type.protocol == "udp" else ("T:", "U:")
    assert str(PortSet.parse(f"{own}80", "port", scan_type)) == "80"
    if scan_type.may_send_udp:
        assert str(PortSet.parse("T:80,U:53", "port", scan_type)) == "T:80,U:53"
        return
    for text in (f"{other}53", f"{own}80,{other}53", f"80,{other}53"):
        with pytest.raises(InvalidInput, match="nmap default, which sends both") as refused:
            PortSet.parse(text, "port", scan_type)
        assert refused.value.field == "port"


def test_the_nmap_types_that_are_named_for_no_protocol_send_both() -> None:
    assert {"default", "quick", "intense", "full", "vuln"} == SENDS_BOTH


def test_every_name_of_a_service_stands_for_one_port() -> None:
    for name, port in PORT_OF_SERVICE.items():
        assert str(PortSet.parse(name)) == str(port)
        assert name == name.lower()


@given(st.text(max_size=20) | st.text(alphabet="0123456789,- TU:", max_size=20))
def test_no_text_at_all_raises_anything_else_or_shows_more_than_digits(text: str) -> None:
    try:
        made = PortSet.parse(text)
    except InvalidInput:
        return
    assert set(str(made)) <= set("0123456789,-TU:")
    assert not str(made).startswith("-")


def test_more_ranges_than_one_argument_of_a_scanner_can_hold_are_refused() -> None:
    most = [str(port) for port in range(65535, 0, -2)][:MAX_RANGES]
    as_masscan_takes_udp_ports = ",".join(f"U:{entry}" for entry in str(PortSet.parse(",".join(most))).split(","))
    assert len(as_masscan_takes_udp_ports) < 128 * 1024
    with pytest.raises(TooLarge, match="Ask for whole ranges"):
        PortSet.parse(",".join([*most, "1"]))
