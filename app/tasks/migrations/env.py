"""Runs the alembic migrations on the connection that the database has opened."""

from alembic import context

from app.tasks.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
