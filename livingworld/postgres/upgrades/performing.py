"""The steps of a revision, one after the other: each takes effect by itself, and is passed over when it did before."""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op

from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.postgres.upgrades.progress import Progress
from livingworld.postgres.upgrades.step import Step, commit, connection_of, verbatim


def perform(steps: Iterable[Step]) -> None:
    """Perform what is missing of the steps of a revision; the last one commits together with the revision's number.

    Whether row-level security shows single worlds or not, a step sees all of them. A step is committed before the next
    one begins, so no lock is held for two. In a script everything is one transaction, for an empty database.
    """
    context = op.get_context()
    if context.as_sql:
        for statement in (statement for step in steps for statement in step.at_once()):
            op.execute(verbatim(statement))
        return
    progress: Progress = context.opts["run"].progress
    something_is_open = False
    for step in steps:
        if something_is_open:
            commit(context)
            something_is_open = False
        connection_of(context).execute(MAINTAIN)
        if not step.is_done(connection_of(context)):
            with progress.at(step.title, step.tables):
                step.perform(context, progress)
            something_is_open = True
