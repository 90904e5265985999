"""What left the machine during a run, and whether that is every probe of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeFrames:
    """How to tell a run's probes among the frames that leave: protocol, and source ports (both inclusive).

    ICMP has no ports: every echo request counts.
    """

    protocol: str  # tcp, udp or icmp
    first_source_port: int
    last_source_port: int
    counts_replies: bool = False  # SYN-ACKs to these ports too: where the tool tells how many it took in


@dataclass(frozen=True)
class SendRecord:
    """What the kernel counted on an interface while a run lasted."""

    interface: str
    probes: int  # frames of the run that it handed to the driver
    dropped: int = 0  # frames that the driver dropped or could not send, of anybody
    carrier_changes: int = 0  # times the link went away or came back

    def __add__(self, other: SendRecord) -> SendRecord:
        return SendRecord(
            self.interface,
            self.probes + other.probes,
            self.dropped + other.dropped,
            self.carrier_changes + other.carrier_changes,
        )


def why_unsent(record: SendRecord, planned_probes: int) -> str | None:
    """Why the run does not prove that its probes left, with the remedy; None if it does."""
    interface = record.interface
    if record.carrier_changes:
        return (
            f"{interface} lost its link while the scanner was sending ({record.carrier_changes} changes of its "
            "carrier). Check the cable, the switch port or the host's virtual network."
        )
    if record.dropped:
        return (
            f"{interface} dropped {record.dropped:,} frames while the scanner was sending. Lower the rate, or look at "
            f"`ip -s -s link show {interface}`."
        )
    if record.probes < planned_probes:
        return (
            f"only {record.probes:,} of {planned_probes:,} probes left by {interface}: its queue or a filter dropped "
            f"the rest. Lower the rate, or look at `tc -s qdisc show dev {interface}` and the firewall's rules."
        )
    return None
