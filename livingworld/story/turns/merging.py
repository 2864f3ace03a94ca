"""Merging inputs: the one statement that makes an input that came a part of a turn that waits."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.records import TurnInput
from livingworld.story.turns.taking import TakeRequest, TakeResult

_MERGE: Final = f"SELECT livingworld.merge_turn_v1({', '.join(f'${number}' for number in range(1, 13))})"


async def merge(tx: Transaction, world_id: UUID, request: TakeRequest, leader: TakeResult, both: TurnInput) -> bool:
    """Give the turn that waits the combined input, and remember that this one is a part of it. Locks the story.

    False when what the look has told is no longer true: the next look tells what is. See merge_turn_v1.sql.
    """
    place = (request.story_id, leader.branch_number, leader.ticket, leader.merges)
    came = (request.request_key, request.request_hash(), request.owner, request.input.choice, request.input.instruction)
    row = await tx.execute_text(_MERGE, (world_id, *place, both.choice, both.instruction, *came))
    merged: bool = row.scalar_one()
    return merged
