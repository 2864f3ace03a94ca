"""Loading a model: the application's loader brings it, the application's probe finds out whether it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from livingworld.errors import InvalidType, LivingWorldError, ModelLoadFailed, ModelProbeFailed
from livingworld.inputs import check_function, check_label
from livingworld.models.ai_models.loaded_model import Close, Closing, LoadedModel
from livingworld.models.ai_models.records import AIModel
from livingworld.observability import events

#: Brings what answers as this model.
Loader = Callable[[AIModel], Awaitable[Any]]
#: Asks what a loader brought, and raises when it does not answer as it should.
Probe = Callable[[Any, AIModel], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a host loads and closes."""

    loaders: Mapping[str, Loader]
    probe: Probe
    #: How long a loader may take, and then a probe.
    within: timedelta
    closing: Closing


async def load_and_probe(loading: Loading, model: AIModel, opened: Callable[[LoadedModel], None]) -> LoadedModel:
    """Return a model that answers; raises ModelLoadFailed or ModelProbeFailed, and leaves nothing open then.

    `opened` gets it before it is probed, so that it is closed whatever follows.
    """
    began = time.monotonic()
    fields = {"world_id": loading.closing.world_id, "model_id": model.id}
    try:
        loaded = LoadedModel(model, await _load(loading, model), loading.closing)
        opened(loaded)
        await _probe(loading, loaded)
    except LivingWorldError as error:
        cause = error.__cause__ or error
        events.emit(events.MODEL_NOT_LOADED, **fields, error=type(cause).__name__)
        raise
    events.emit(events.MODEL_LOADED, **fields, milliseconds=round((time.monotonic() - began) * 1000))
    return loaded


async def _load(loading: Loading, model: AIModel) -> Any:  # noqa: ANN401 - the application's
    try:
        async with asyncio.timeout(loading.within.total_seconds()):
            return await loading.loaders[model.role](model)
    except Exception as error:
        raise ModelLoadFailed(model_id=model.id, error=type(error).__name__) from error


async def _probe(loading: Loading, loaded: LoadedModel) -> None:
    try:
        async with asyncio.timeout(loading.within.total_seconds()):
            await loading.probe(loaded.handle, loaded.model)
    except Exception as error:
        loaded.retire()
        await loaded.ended.wait()
        raise ModelProbeFailed(model_id=loaded.model.id, error=type(error).__name__) from error


def check_loaders(loaders: object) -> Mapping[str, Loader]:
    """Return loaders by role, as they are now; raises InvalidType."""
    if not isinstance(loaders, Mapping) or not loaders:
        raise InvalidType("loaders", "must be a mapping of roles to async functions of an AIModel")
    for role, loader in loaders.items():
        check_label("loaders", role)
        check_function(f"loaders[{role}]", loader)
    return dict(loaders)


def check_close(close: Close | None) -> Close | None:
    """Return a way to close unchanged if it can be one."""
    if close is not None:
        check_function("close", close)
    return close
