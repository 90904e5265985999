"""what may be large of a scan has a table of its own; what a node can send to"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BULK = ("target_text", "addresses", "ports", "host_names")
_HEAD_BYTES = 2048
_TRUNCATED = b'{"truncated":true,"document":'  # how an older version's document begins
_WHOLE = b'{"truncated":false,"document":'


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "scan_targets",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("target_text", sa.Text(), nullable=False, comment="as the user wrote it"),
        sa.Column(
            "addresses", sa.Text(), nullable=False, comment="first-last ranges, a line each; chunks are offsets into it"
        ),
        sa.Column("ports", sa.Text(), nullable=True),
        sa.Column("host_names", sa.Text(), nullable=False, comment="JSON: address to the names it was asked by"),
        sa.PrimaryKeyConstraint("scan_id", name=op.f("pk_scan_targets")),
    )
    op.execute(f"INSERT INTO scan_targets (scan_id, {', '.join(_BULK)}) SELECT id, {', '.join(_BULK)} FROM scans")  # noqa: S608
    for column in _new_columns():
        op.add_column("scans", column)
    _measure()
    for name in _BULK:
        op.drop_column("scans", name)
    _pack_results()
    comment = "JSON: ranges on its own networks, and those without a gateway"
    op.add_column("nodes", sa.Column("reach", sa.Text(), nullable=True, comment=comment))


def downgrade() -> None:
    """Take back; the inline results are made again when they are asked for."""
    op.drop_column("nodes", "reach")
    op.execute("DELETE FROM inline_results")
    op.add_column("inline_results", _document())
    for column in _packed_columns():
        op.drop_column("inline_results", column.name)
    for column in _new_columns():
        op.drop_column("scans", column.name)
    for name in _BULK:
        default = {"host_names": "{}", "ports": None}.get(name, "")
        op.add_column("scans", sa.Column(name, sa.Text(), nullable=name == "ports", server_default=default))
        op.execute(f"UPDATE scans SET {name} = (SELECT t.{name} FROM scan_targets t WHERE t.scan_id = scans.id)")  # noqa: S608
    op.drop_table("scan_targets")


def _pack_results() -> None:
    """What older versions kept is kept on, one document at a time."""
    for column in _packed_columns():
        op.add_column("inline_results", column)
    connection = op.get_bind()
    read = sa.text("SELECT document FROM inline_results WHERE scan_id = :id")
    write = sa.text(
        "UPDATE inline_results SET packed = :packed, size = :size, truncated = :truncated WHERE scan_id = :id"
    )
    for scan_id in connection.execute(sa.text("SELECT scan_id FROM inline_results")).scalars().all():
        document = bytes(connection.execute(read, {"id": scan_id}).scalar_one())
        truncated = document.startswith(_TRUNCATED)
        body = document[len(_TRUNCATED if truncated else _WHOLE) : -1]
        packed = {"packed": zlib.compress(body, 1), "size": len(body), "truncated": truncated}
        connection.execute(write, packed | {"id": scan_id})
    op.drop_column("inline_results", "document")


def _document() -> sa.Column[object]:
    default = sa.text("''")
    return sa.Column("document", sa.LargeBinary(), nullable=False, server_default=default, comment="JSON, as served")


def _packed_columns() -> Iterator[sa.Column[object]]:
    yield sa.Column("size", sa.Integer(), nullable=False, server_default="0", comment="bytes of JSON")
    comment = "more was found"
    yield sa.Column("truncated", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
    comment = "JSON, as served, by zlib"
    yield sa.Column("packed", sa.LargeBinary(), nullable=False, server_default=sa.text("''"), comment=comment)


def _new_columns() -> Iterator[sa.Column[object]]:
    yield sa.Column("target_head", sa.Text(), nullable=False, server_default="", comment="target_text, cut for lists")
    comment = "the head is not all of it"
    yield sa.Column("target_truncated", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
    comment = "addresses, the excluded included"
    yield sa.Column("target_count", sa.BigInteger(), nullable=False, server_default="0", comment=comment)
    yield sa.Column("units_per_address", sa.Integer(), nullable=False, server_default="1")
    comment = "it sends UDP probes beside its TCP ones"
    yield sa.Column("udp_too", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
    comment = "the names of what is found are looked up"
    yield sa.Column("resolve", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)


def _measure() -> None:
    """Scan by scan: together they may be larger than the memory."""
    connection = op.get_bind()
    ids = connection.execute(sa.text("SELECT id FROM scans")).scalars().all()
    read = sa.text("SELECT tool, target_text, addresses, ports, excluded_addresses FROM scans WHERE id = :id")
    write = sa.text(
        "UPDATE scans SET target_head = :head, target_truncated = :truncated, target_count = :count, "
        "units_per_address = :units WHERE id = :id"
    )
    for scan_id in ids:
        row = connection.execute(read, {"id": scan_id}).one()
        head = row.target_text.encode()[:_HEAD_BYTES].decode(errors="ignore")
        count = _addresses(row.addresses) + row.excluded_addresses
        units = 1 if row.tool == "nmap" or row.ports is None else _ports(row.ports)
        measured = {"head": head, "truncated": head != row.target_text, "count": count, "units": units, "id": scan_id}
        connection.execute(write, measured)


def _addresses(lines: str) -> int:
    total = 0
    for line in lines.splitlines():
        first, _, last = line.partition("-")
        total += int(ipaddress.ip_address(last or first)) - int(ipaddress.ip_address(first)) + 1
    return total


def _ports(text: str) -> int:
    ends = [part.partition("-") for part in text.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)
