"""What the tests of AI models share: models that say who they are, and notice use after they were closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from livingworld import AIModel, ModelHost, World
from tests.support.aftermath import eventually

#: The row that every change of a role holds.
THE_ROLE: Final = "SELECT FROM livingworld.ai_model_roles WHERE world_id = $1 AND role = $2 FOR UPDATE"


class Handle:
    """A loaded model: answers with its name, when it may."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = 0
        #: Cleared: an answer takes until it is set.
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.answering = 0

    async def answer(self) -> str:
        self.answering += 1
        await self.may_answer.wait()
        assert not self.closed, "use after close"
        return self.name

    async def aclose(self) -> None:
        self.closed += 1


class Loaders:
    """Brings handles, and remembers every one of them."""

    def __init__(self) -> None:
        self.handles: list[Handle] = []
        #: By the name of a model: what its loading, or its probe, raises.
        self.broken: dict[str, Exception] = {}
        self.unfit: dict[str, Exception] = {}
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.loading = asyncio.Event()
        #: How many loads began.
        self.begun = 0

    async def load(self, model: AIModel) -> Handle:
        self.loading.set()
        self.begun += 1
        await self.may_load.wait()
        if model.name in self.broken:
            raise self.broken[model.name]
        self.handles.append(Handle(model.name))
        return self.handles[-1]

    async def probe(self, handle: Handle, model: AIModel) -> None:
        assert await handle.answer() == model.name
        if model.name in self.unfit:
            raise self.unfit[model.name]

    def of(self, name: str) -> Handle:
        """Return the only handle that was loaded of a model."""
        (handle,) = [handle for handle in self.handles if handle.name == name]
        return handle

    @property
    def closed(self) -> Mapping[str, int]:
        """How often each handle was closed, by its model's name."""
        return {handle.name: handle.closed for handle in self.handles}

    def serve(self, world: World, **options: Any) -> AbstractAsyncContextManager[ModelHost]:  # noqa: ANN401
        """Serve the models of the narrator and the embedder."""
        loaders = {"narrator": self.load, "embedder": self.load}
        return world.ai_models.serving(loaders, probe=self.probe, **options)


async def registered(world: World, name: str, role: str = "narrator") -> AIModel:
    """Return a model that may be promoted."""
    model = await world.ai_models.register(role, provider="house", name=name)
    return await world.ai_models.mark_validated(model.id)


async def promoted(world: World, name: str, role: str = "narrator") -> AIModel:
    """Return a model that is active."""
    return await world.ai_models.promote((await registered(world, name, role)).id)


async def answer(host: ModelHost, role: str = "narrator") -> str:
    """Return what the pinned model answers."""
    async with host.pin(role) as pinned:
        handle: Handle = pinned.handle
        return await handle.answer()


async def until_served(host: ModelHost, name: str) -> None:
    """Wait until a pin of the narrator gives this model, without using it."""

    def served() -> bool:
        current = host._slots["narrator"].current
        return current is not None and current.model.name == name

    await until(served)


async def until(happened: Callable[[], object]) -> None:
    """Wait until it has happened."""

    async def look() -> bool:
        return bool(happened())

    assert await eventually(look)
