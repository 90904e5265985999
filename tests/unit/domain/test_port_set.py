"""Port sets, against Python's own sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.errors import InvalidInput, TooLarge
from cloudx.domain.port_set import MAX_RANGES, PortSet

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
     ("1-65535", "1-65535", 65535), ("443,80,80-90,85-100", "80-100,443", 22), ("080", "80", 1)],
)  # fmt: skip
def test_every_form_people_write_is_read(text: str | int, shown: str, size: int) -> None:
    made = PortSet.parse(text)
    assert (str(made), made.size) == (shown, size)


@pytest.mark.parametrize(
    "text",
    ["", ",", "80,", "0", "65536", "99999", "999999", "-1", "1-", "-80", "90-80", "1-2-3", "80;90", "80 90", "http",
     "U:53", "T:80", "*", "1e3", "0x50", "٨٠", "80\n", "80\0", "-p1", "--top-ports", "1-65536", "0-10", -1, 0, 10**30],
)  # fmt: skip
def test_what_is_no_port_is_refused_with_its_field(text: str | int) -> None:
    if text == "80\n":
        assert PortSet.parse(text).size == 1  # surrounding space is people's
        return
    with pytest.raises(InvalidInput) as caught:
        PortSet.parse(text, "port")
    assert caught.value.details["field"] == "port"


@given(st.text(max_size=20))
def test_no_text_at_all_raises_anything_else_or_shows_more_than_digits(text: str) -> None:
    try:
        made = PortSet.parse(text)
    except InvalidInput:
        return
    assert set(str(made)) <= set("0123456789,-")
    assert not str(made).startswith("-")


def test_more_ranges_than_one_argument_of_a_scanner_can_hold_are_refused() -> None:
    most = [str(port) for port in range(65535, 0, -2)][:MAX_RANGES]
    as_masscan_takes_udp_ports = ",".join(f"U:{entry}" for entry in str(PortSet.parse(",".join(most))).split(","))
    assert len(as_masscan_takes_udp_ports) < 128 * 1024
    with pytest.raises(TooLarge, match="Ask for whole ranges"):
        PortSet.parse(",".join([*most, "1"]))
