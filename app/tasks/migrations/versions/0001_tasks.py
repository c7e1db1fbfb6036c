"""Tasks, their steps, and the keys of requests.

The first versions created these tables without migrations; their files are used as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    for column in ("created_at", "status"):
        op.create_index(f"ix_tasks_{column}", "tasks", [column], if_not_exists=True)
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "steps",
        sa.Column("task_id", sa.String, sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
        if_not_exists=True,
    )
