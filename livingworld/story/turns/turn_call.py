"""One call of a model in a turn: what it was asked, what it answered and what that took, stored when its block ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, NotRequired, TypedDict, Unpack
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from livingworld import inputs
from livingworld.errors import InvalidInput, LivingWorldError
from livingworld.identifiers import new_id
from livingworld.observability import events
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.model_meter import count_model_call
from livingworld.story.turns.requests import Holding
from livingworld.story.turns.tables import model_calls

#: Most parts of a prompt, and most characters of one and of an error that is kept.
_MAX_PARTS: Final = 100
_MAX_PART: Final = inputs.MAX_RAW_RESPONSE_CHARACTERS
_MAX_ERROR: Final = 1000


class CallOptions(TypedDict):
    """How a model is asked."""

    model: NotRequired[str | None]
    script_version: NotRequired[str | None]
    parameters: NotRequired[Mapping[str, Any] | None]
    prompt: NotRequired[Mapping[str, str] | None]


class TurnCall:
    """A call of a model that is under way; made by `call` of a turn or of another call."""

    def __init__(self, services: Services, holding: Holding, name: str, parent_id: UUID | None) -> None:
        self._services = services
        self._holding = holding
        self._began = time.monotonic()
        #: Id of the call, as it will be stored.
        self.id = UUID(int=new_id().int)
        self._known: dict[str, Any] = {"name": inputs.check_label("name", name), "parent_id": parent_id}

    def answer(self, text: str, *, input_tokens: int | None = None, output_tokens: int | None = None) -> None:
        """Keep what the model answered; stored when the block ends. A second answer replaces the first."""
        limit = inputs.MAX_RAW_RESPONSE_CHARACTERS
        self._known |= {
            "answer": inputs.check_text("text", text, limit=limit),
            "input_tokens": inputs.check_optional_integer("input_tokens", input_tokens),
            "output_tokens": inputs.check_optional_integer("output_tokens", output_tokens),
        }

    def call(self, name: str, **options: Unpack[CallOptions]) -> AbstractAsyncContextManager[TurnCall]:
        """Call a model within this call; as `call` of the turn."""
        return calling(self._services, self._holding, name, options, parent_id=self.id)

    def describe(self, options: CallOptions) -> None:
        """Keep how the model is asked."""
        parameters, prompt = options.get("parameters"), options.get("prompt")
        self._known |= {
            "model": inputs.check_optional_label("model", options.get("model")),
            "script_version": inputs.check_optional_label("script_version", options.get("script_version")),
            "parameters": {} if parameters is None else inputs.check_json_object("parameters", parameters),
            "prompt": [] if prompt is None else _check_prompt(prompt),
        }

    async def store(self, failure: BaseException | None) -> None:
        """Store the call as it ended; what the block raised goes first."""
        known = {**self._known, "duration_ms": min(round((time.monotonic() - self._began) * 1000), inputs.MAX_INTEGER)}
        count_model_call(self._services.metrics, known, failure)
        if failure is not None:
            known["error"] = inputs.storable_error_text(failure, limit=_MAX_ERROR)
        try:
            await self._services.unit.write_single_idempotent(_store, self._holding, self.id, known)
        except LivingWorldError as error:
            if failure is None:
                raise
            ids = {"world_id": self._services.world_id, "story_id": self._holding.story_id}
            events.emit(events.CALL_NOT_STORED, **ids, error=type(error).__name__)


@asynccontextmanager
async def calling(
    services: Services, holding: Holding, name: str, options: CallOptions, *, parent_id: UUID | None = None
) -> AsyncIterator[TurnCall]:
    """Give a call, and store it when the block ends, however it ends: it was paid for."""
    call = TurnCall(services, holding, name, parent_id)
    call.describe(options)
    failure: BaseException | None = None
    try:
        yield call
    except BaseException as error:
        failure = error
        raise
    finally:
        await asyncio.shield(services.tasks.finish(call.store(failure)))


async def _store(tx: Transaction, holding: Holding, call_id: UUID, known: dict[str, Any]) -> None:
    place = {"world_id": tx.world_id, "story_id": holding.story_id, "request_key": holding.request_key}
    statement = insert(model_calls).values(**place, call_id=call_id, generation_id=holding.owner, **known)
    await tx.execute(statement.on_conflict_do_nothing(constraint="pk_model_calls"))


def _check_prompt(prompt: object) -> list[list[str]]:
    if not isinstance(prompt, Mapping) or len(prompt) > _MAX_PARTS:
        raise InvalidInput("prompt", f"must be a mapping of at most {_MAX_PARTS} names to texts")
    return [
        [inputs.check_label("prompt", name), inputs.check_text("prompt", text, limit=_MAX_PART)]
        for name, text in prompt.items()
    ]
