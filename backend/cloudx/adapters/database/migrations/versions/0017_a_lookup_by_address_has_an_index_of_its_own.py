"""the index for lookups by address is partial, so that no other statement takes it for the key"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_HAS_A_SPAN = sa.text("address_count > 0")


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_attempts_address", "attempts")
    op.create_index(
        "ix_attempts_address",
        "attempts",
        ["scan_id", "address_start"],
        postgresql_where=_HAS_A_SPAN,
        sqlite_where=_HAS_A_SPAN,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_attempts_address", "attempts")
    op.create_index("ix_attempts_address", "attempts", ["scan_id", "address_start"])
