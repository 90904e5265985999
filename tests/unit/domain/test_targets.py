"""Every form a target may be written in, and those that are refused."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import Address, from_key, to_key
from cloudx.domain.errors import InvalidInput, TooLarge
from cloudx.domain.targets import MAX_ENTRIES, MAX_HOST_NAMES, parse_address, parse_targets

GOOD = [
    ("10.0.0.1", ["10.0.0.1"], ()),
    ("10.0.0.0/30", ["10.0.0.0-10.0.0.3"], ()),
    ("10.0.0.3/30", ["10.0.0.0-10.0.0.3"], ()),
    ("10.0.0.0/8", ["10.0.0.0-10.255.255.255"], ()),
    ("0.0.0.0/0", ["0.0.0.0-255.255.255.255"], ()),
    ("10.0.0.7/32", ["10.0.0.7"], ()),
    ("10.0.0.1-20", ["10.0.0.1-10.0.0.20"], ()),
    ("10.0.0.1-10.0.1.9", ["10.0.0.1-10.0.1.9"], ()),
    ("10.0.0.5-5", ["10.0.0.5"], ()),
    ("10.0.0.5-255", ["10.0.0.5-10.0.0.255"], ()),
    ("::1", ["::1"], ()),
    ("2001:DB8::1", ["2001:db8::1"], ()),
    ("2001:db8::/126", ["2001:db8::-2001:db8::3"], ()),
    ("2001:db8::1-2001:db8::ff", ["2001:db8::1-2001:db8::ff"], ()),
    ("::ffff:10.0.0.1", ["10.0.0.1"], ()),
    ("host.example.org", [], ("host.example.org",)),
    ("HOST.Example.ORG.", [], ("host.example.org",)),
    ("localhost", [], ("localhost",)),
    ("a-b.example", [], ("a-b.example",)),
    ("1host.example", [], ("1host.example",)),
    ("10.0.0.1,10.0.0.2", ["10.0.0.1-10.0.0.2"], ()),
    ("10.0.0.1, 10.0.0.9\n::1\tlocalhost ,, 10.0.0.1", ["10.0.0.1", "10.0.0.9", "::1"], ("localhost",)),
    ("b.example a.example b.example", [], ("b.example", "a.example")),
    ("", [], ()),
    (" , \n", [], ()),
    (
        "10.0.0-3.1-254",
        ["10.0.0.1-10.0.0.254", "10.0.1.1-10.0.1.254", "10.0.2.1-10.0.2.254", "10.0.3.1-10.0.3.254"],
        (),
    ),
    ("192.168.1.*", ["192.168.1.0-192.168.1.255"], ()),
    ("192.168.0-255.0-255", ["192.168.0.0-192.168.255.255"], ()),
    ("192.168.*.*", ["192.168.0.0-192.168.255.255"], ()),
    ("10.*.*.*", ["10.0.0.0-10.255.255.255"], ()),
    ("10.0.0.-", ["10.0.0.0-10.0.0.255"], ()),
    ("10.0.0.250-", ["10.0.0.250-10.0.0.255"], ()),
    ("10.0.0.-3", ["10.0.0.0-10.0.0.3"], ()),
    ("\ufeff127.0.0.1\n# lab\n127.0.0.2 # printer\nmy_host.internal\n", ["127.0.0.1-127.0.0.2"], ("my_host.internal",)),
    ("10.0.0.1,\r\n10.0.0.9,", ["10.0.0.1", "10.0.0.9"], ()),
    ("_dmarc.example", [], ("_dmarc.example",)),
    ("bücher.example", [], ("xn--bcher-kva.example",)),
    ("faß.example", [], ("xn--fa-hia.example",)),
]

HOSTILE = [
    "-iL", "-iL/etc/passwd", "--script=vuln", "--excludefile", "-oN", "-", "--",
    "/etc/passwd", "../x", "file:///etc/passwd", "@/etc/passwd", "http://10.0.0.1/",
    "10.0.0.1;reboot", "$(reboot)", "`reboot`", "10.0.0.1|cat", "10.0.0.1&", "a>b", "'", '"', "\\", "*",
    "10.0.0.256", "10.0.0", "10", "1.2.3.4.5", "010.0.0.1", "0x7f.1", "0x7f000001", "2130706433",
    "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "/24", "10.0.0.0/255.255.255.0", "10.0.0.0/0.0.0.255", "10.0.0.0/24/24",
    "::/129", "host/24", "10.0.0.9-1", "-10.0.0.1", "10.0.0.1-256", "10.0.0.1-10.0.0", "10.0.0.1-1-2",
    "10.0.0.1-::1", "::2-::1", "10.0.0.1-0020", "10.0.0.1-١٠", "١٠.0.0.1",
    "fe80::1%eth0", "fe80::1%25eth0", "[::1]", "[::1]:80", "10.0.0.1:80", "host:80", "user@host",
    "a..b", ".a", "-a.example", "a-.example", "ex ample\0", "a" * 64, f"{'a.' * 127}abc",
    "\0", "10.0.0.1\0", "\x1b[31m", "\ud800", "{{7*7}}", "%s%s%n", "☃",
]  # fmt: skip


@pytest.mark.parametrize(("text", "ranges", "names"), GOOD)
def test_every_form_people_write_is_read(text: str, ranges: list[str], names: tuple[str, ...]) -> None:
    targets = parse_targets(text)
    assert targets.addresses.texts() == ranges
    assert targets.host_names == names
    assert bool(targets) == bool(ranges or names)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_target_is_refused_with_its_field_and_the_forms_there_are(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_targets(["10.0.0.1", text], "exclude")
    assert caught.value.details["field"] == "exclude"
    assert "192.0.2.0/24" in caught.value.message
    assert len(caught.value.message) < 400


@given(st.text(max_size=40))
def test_no_text_at_all_raises_anything_else_or_yields_an_option(text: str) -> None:
    try:
        targets = parse_targets(text)
    except InvalidInput:
        return
    for text in (*targets.addresses.texts(), *targets.host_names):
        assert not text.startswith("-")
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.:-_")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_range_holds_its_ends_and_all_between(left: int, right: int) -> None:
    first, last = sorted((left, right))
    targets = parse_targets(f"{ipaddress.IPv4Address(first)}-{ipaddress.IPv4Address(last)}")
    assert targets.addresses.size == last - first + 1


@given(st.lists(st.ip_addresses(), min_size=1, max_size=20), st.sampled_from([",", " ", "\n", "\r\n", ", ", "\t"]))
def test_a_list_reads_the_same_with_any_separator(addresses: list[Address], separator: str) -> None:
    targets = parse_targets(separator.join(map(str, addresses)))
    assert set(targets.addresses) == {from_key(to_key(address)) for address in addresses}


def test_more_entries_or_names_than_a_scan_may_have_are_refused() -> None:
    with pytest.raises(TooLarge, match="use CIDRs"):
        parse_targets("10.0.0.1 " * (MAX_ENTRIES + 1))
    with pytest.raises(TooLarge, match="host names"):
        parse_targets([f"h{number}.example" for number in range(MAX_HOST_NAMES + 1)])
    assert len(parse_targets([f"h{number}.example" for number in range(MAX_HOST_NAMES)]).host_names) == MAX_HOST_NAMES


@given(st.ip_addresses())
def test_one_address_is_read_however_it_is_spelt(address: Address) -> None:
    for spelling in {str(address), address.exploded, f" {str(address).upper()}\n"}:
        assert parse_address(spelling, "ip") == parse_address(str(address), "ip")
    if address.version == 4:
        assert parse_address(f"::ffff:{address}", "ip") == address


@given(st.text())
def test_what_is_no_address_is_refused_by_its_field_and_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        parse_address(text, "ip")
    with pytest.raises(InvalidInput) as refused:
        parse_address(f"{text}/24", "ip")
    assert refused.value.field == "ip"
