"""Every method of AI models and training samples that talks to the database."""

from __future__ import annotations

from datetime import timedelta

from livingworld import AIModel, NewSample, World


async def use_ai_models(world: World) -> None:
    """Register, load, promote, serve, swap and roll back models, and collect what they answered."""

    async def load(model: AIModel) -> str:
        return model.name

    async def probe(handle: str, model: AIModel) -> None:
        assert handle == model.name

    async with (
        world.ai_models.serving({"narrator": load}, probe=probe) as host,
        world.ai_models.collecting(flush_every=timedelta(milliseconds=10)) as samples,
    ):
        for name in "ab":
            model = await world.ai_models.register("narrator", provider="house", name=name)
            await host.load(model.id)
            await world.ai_models.promote((await world.ai_models.get(model.id)).id)
            async with host.pin("narrator") as pinned:
                samples.add("narrator", "Who?", pinned.handle, model=pinned.model)
        await world.ai_models.rollback("narrator")
        await world.ai_models.active("narrator")
        await world.ai_models.list("narrator", after="9")
    await world.ai_models.samples.add_many([NewSample(role="narrator", input=1, output=1)])
    page = await world.ai_models.samples.list("narrator", model_version=1, limit=1)
    await world.ai_models.samples.list("narrator", after=str(page.items[0].id))
