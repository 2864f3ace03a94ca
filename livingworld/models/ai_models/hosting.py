"""The models that one process serves: loaded once, pinned while they are used, swapped when another becomes active."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

from livingworld.background.single_flight import Deliver, SingleFlight
from livingworld.errors import Closed, InvalidInput, LivingWorldError
from livingworld.models.ai_models.loaded_model import LoadedModel, PinnedModel
from livingworld.models.ai_models.loading import Loading, load_and_probe
from livingworld.models.ai_models.new_model import check_role
from livingworld.models.ai_models.records import AIModel
from livingworld.models.ai_models.repository import AIModelRepository
from livingworld.models.ai_models.transitions import models_topic
from livingworld.observability import events
from livingworld.postgres.services import Services

#: A model that could not be loaded is tried again after the polling interval, then each time twice as late, up to this.
_LONGEST_PAUSE: Final = timedelta(minutes=1)
#: What is under way: a role to be put in service, or a model to be loaded.
_Key: TypeAlias = str | UUID
_Outcome: TypeAlias = LoadedModel | BaseException


@dataclass(slots=True, eq=False)
class _Slot:
    """What one role has here; every change is one assignment, with no await in it."""

    role: str
    #: What a pin gives.
    current: LoadedModel | None = None
    #: Loaded and probed, and not in service.
    ready: LoadedModel | None = None
    #: Which model could not be loaded, when it may be tried again, and how long the pause was.
    failed: UUID | None = None
    next_try: float = 0
    pause: timedelta = timedelta(0)

    def holds(self, model_id: UUID) -> LoadedModel | None:
        """Return the model if it is loaded."""
        found = [each for each in (self.current, self.ready) if each is not None and each.model.id == model_id]
        return found[0] if found else None


class ModelHost:
    """The models that are served in one block of a program; made by `World.ai_models.serving`."""

    def __init__(self, services: Services, loading: Loading) -> None:
        self._services = services
        self._models = AIModelRepository(services.background)
        self._loading = loading
        self._slots = {role: _Slot(role) for role in loading.loaders}
        self._single_flight: SingleFlight[_Key, _Outcome] = SingleFlight(services.tasks.watch, _failed)
        self._open: list[LoadedModel] = []
        self._answers: dict[str, Counter[int]] = {role: Counter() for role in loading.loaders}
        self._closed = False
        self._watcher = services.tasks.watch(self._follow())

    async def load(self, model_id: UUID) -> AIModel:
        """Load a model here and probe it, which changes nothing that is in service; then it may be promoted.

        It is kept loaded until another one of its role is, so its promotion swaps at once. Raises ModelNotFound,
        ModelLoadFailed and ModelProbeFailed with their cause. No transaction is open while loader and probe work.
        """
        model = await self._models.get(model_id)
        await self._bring(self._slot(model.role), model)
        return await self._models.mark_validated(model_id)

    @asynccontextmanager
    async def pin(self, role: str) -> AsyncIterator[PinnedModel]:
        """Give the model of a role, which stays open for the whole block whatever is promoted meanwhile.

        The first pin loads the active model, once for all who ask. Raises NoActiveModel, ModelLoadFailed,
        ModelProbeFailed, Closed. A replaced model is closed after its last use, or when the host's time limit is over:
        then `handle` raises ModelClosed.
        """
        slot = self._slot(role)
        while slot.current is None:
            await self._once(role, partial(self._serve, slot))
            self._refuse_if_closed()
        loaded = slot.current  # looked at and counted without an await between
        loaded.acquire()
        try:
            pinned = PinnedModel(loaded)
            yield pinned
            self._answers[role][pinned.model.version] += 1
        finally:
            loaded.release()

    def answers(self) -> Mapping[str, Mapping[int, int]]:
        """Return how often each version of each role answered here: the blocks of `pin` that ended without an error."""
        return {role: dict(versions) for role, versions in self._answers.items()}

    def pins(self) -> Mapping[str, Mapping[int, int]]:
        """Return how many blocks of `pin` use each version of each role here now; a version without a use is left out.

        A replaced model is among them until its last use has ended.
        """
        found: dict[str, Counter[int]] = {role: Counter() for role in self._slots}
        for loaded in self._open:
            if loaded.uses:
                found[loaded.model.role][loaded.model.version] += loaded.uses
        return {role: dict(versions) for role, versions in found.items()}

    async def close(self) -> None:
        """Close every model exactly once, after its last use or the time limit; no pin is given from now on."""
        self._closed = True
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await self._single_flight.close()
        for slot in self._slots.values():
            slot.current = slot.ready = None
        for loaded in self._open:
            loaded.retire()
        for loaded in self._open:
            await loaded.ended.wait()

    def _slot(self, role: str) -> _Slot:
        self._refuse_if_closed()
        slot = self._slots.get(check_role(role))
        if slot is None:
            raise InvalidInput("role", "has no loader here")
        return slot

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Closed

    async def _follow(self) -> None:
        topic = models_topic(self._services.world_id)
        with self._services.notifications.subscribe(topic) as subscription:
            while True:
                try:
                    await self._look()
                except LivingWorldError as error:
                    events.emit(events.SERVICE_FAILED, service="ai models", error=type(error).__name__)
                interval = self._services.poll_interval
                if any(slot.failed for slot in self._slots.values()):  # tried again after a pause of its own
                    await subscription.wait(interval)
                else:
                    await subscription.wait_or_poll(interval)

    async def _look(self) -> None:
        """Begin to serve what became active for the roles that are in use here."""
        if all(slot.current is None for slot in self._slots.values()):
            return
        active = await self._models.all_active()
        now = asyncio.get_running_loop().time()
        for role, slot in self._slots.items():
            model = active.get(role)
            if model is None or slot.current is None or not _newer(model, slot.current.model):
                continue
            if slot.failed != model.id or now >= slot.next_try:
                self._launch(role, partial(self._serve, slot))

    async def _serve(self, slot: _Slot) -> LoadedModel:
        """Put the active model of a role in service; what cannot be loaded leaves the former in service."""
        model = await self._models.active(slot.role)
        if slot.current is not None and not _newer(model, slot.current.model):
            return slot.current
        try:
            loaded = await self._bring(slot, model)
        except LivingWorldError:
            self._put_off(slot, model)
            raise
        self._install(slot, model, loaded)
        return loaded

    def _install(self, slot: _Slot, model: AIModel, loaded: LoadedModel) -> None:
        if loaded is slot.current:  # it went out of service and came back between two looks
            loaded.model = model
        elif loaded is slot.ready:  # else another one was loaded meanwhile, and this one is looked for again
            loaded.model = model
            former, slot.current, slot.ready, slot.failed = slot.current, loaded, None, None
            if former is not None:
                former.retire()
            events.emit(
                events.MODEL_SWAPPED,
                world_id=self._services.world_id,
                model_id=model.id,
                version=model.version,
            )

    def _put_off(self, slot: _Slot, model: AIModel) -> None:
        again = slot.pause * 2 if slot.failed == model.id else self._services.poll_interval
        slot.failed, slot.pause = model.id, min(again, _LONGEST_PAUSE)
        slot.next_try = asyncio.get_running_loop().time() + slot.pause.total_seconds()

    async def _bring(self, slot: _Slot, model: AIModel) -> LoadedModel:
        """Return a model that is loaded and probed, by one loading for all who ask."""
        if (loaded := slot.holds(model.id)) is not None:
            return loaded
        return await self._once(model.id, partial(self._load, slot, model))

    async def _load(self, slot: _Slot, model: AIModel) -> LoadedModel:
        loaded = await load_and_probe(self._loading, model, self._opened)
        former, slot.ready = slot.ready, loaded
        if former is not None:
            former.retire()
        return loaded

    async def _once(self, key: _Key, work: Callable[[], Awaitable[LoadedModel]]) -> LoadedModel:
        """Do the work once for all who ask meanwhile, to the end also when they are cancelled."""
        self._launch(key, work)
        outcome = (await self._single_flight.get([key], partial(_deliver, work)))[key]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _launch(self, key: _Key, work: Callable[[], Awaitable[LoadedModel]]) -> None:
        self._single_flight.launch([key], partial(_deliver, work))

    def _opened(self, loaded: LoadedModel) -> None:
        self._open = [*(each for each in self._open if not each.ended.is_set()), loaded]


def _newer(model: AIModel, than: AIModel) -> bool:
    return (model.activation or 0) > (than.activation or 0)


async def _deliver(
    work: Callable[[], Awaitable[LoadedModel]], keys: Sequence[_Key], deliver: Deliver[_Key, _Outcome]
) -> None:
    deliver(keys[0], await work())


def _failed(error: BaseException | None) -> _Outcome:
    return error or Closed()
