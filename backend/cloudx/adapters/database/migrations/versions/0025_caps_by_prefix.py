"""caps on what a scan sends to any prefix"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    of_all = "JSON object: packets a second to any prefix, by its length; null: no cap"
    alone = "how fast it may go where nothing else of its zone does"
    op.add_column("scans", sa.Column("rate_per_prefix", PlainText(), comment=of_all))
    op.add_column("chunks", sa.Column("zone", sa.Integer(), comment="where caps by prefix hold"))
    op.add_column("chunks", sa.Column("zone_limit_pps", sa.BigInteger(), comment=alone))


def downgrade() -> None:
    """Take back."""
    op.drop_column("chunks", "zone_limit_pps")
    op.drop_column("chunks", "zone")
    op.drop_column("scans", "rate_per_prefix")
