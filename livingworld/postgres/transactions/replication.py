"""With synchronous replication, an answer means that the standbys have what was stored: a repetition's answer too.

A COMMIT whose session ended while it waited for a standby is stored, and may be lost in a failover. A transaction that
finds it there and writes nothing would be acknowledged at once.
"""

from __future__ import annotations

from typing import Final

from livingworld.postgres.transactions.transaction import Transaction

#: Writes a message that nothing reads: PostgreSQL lets a COMMIT wait only when its transaction wrote something.
_WRITE: Final = """\
SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' AND NOT pg_is_in_recovery()
    THEN pg_logical_emit_message(true, 'livingworld', ''::text)::text END"""


async def wait_for_standbys(tx: Transaction) -> None:
    """Make the COMMIT of this transaction wait for the standbys, and so for everything committed before it.

    For a unit that found what an earlier one with the same request stored. Does nothing without synchronous standbys.
    """
    await tx.execute_text(_WRITE, ())
