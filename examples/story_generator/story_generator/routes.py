"""What the page reads and changes over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel

from livingworld import World
from story_generator import pages
from story_generator.pages import branch_page, generation_page, place_page, scene_page, story_page

#: Scenes of one page of a path, and stories of one page of the list.
_SCENES: Final = 50
_STORIES: Final = 50


class NewStory(BaseModel):
    """A story to begin."""

    title: str
    premise: str = ""
    #: The same for a click that is sent again: it is one story.
    request_key: str | None = None


class Move(BaseModel):
    """A move of the branch that is played; the head is the one that the player sees."""

    turns: int = 1
    expected_head: int | None = None


class Fork(BaseModel):
    """A branch to begin at a scene."""

    name: str
    at: int


class Switch(BaseModel):
    """The branch to play."""

    branch: int


class Choose(BaseModel):
    """The alternative to show instead."""

    generation: UUID
    expected_head: int | None = None


def add_reading(app: FastAPI) -> None:
    """Add what is read."""
    _add_stories(app)
    _add_scenes(app)


def _add_stories(app: FastAPI) -> None:
    @app.get("/api/model")
    async def model() -> dict[str, str]:
        return {"name": app.state.model.name}

    @app.get("/api/stories")
    async def stories(after: str | None = None) -> dict[str, Any]:
        page = await world(app).stories.list(after=after, limit=_STORIES)
        return {"stories": [story_page(story) for story in page.items], "next": page.next}

    @app.get("/api/stories/{story_id}")
    async def story(story_id: UUID) -> dict[str, Any]:
        head = await world(app).stories.head(story_id)
        branches = await world(app).branches.list(story_id, limit=200)
        return {
            **story_page(head.story),
            "branch": branch_page(head.branch),
            "branches": [branch_page(branch) for branch in branches.items],
            **await read_path(world(app), story_id, head.branch.number, None),
        }


def _add_scenes(app: FastAPI) -> None:
    @app.get("/api/stories/{story_id}/scenes")
    async def scenes(story_id: UUID, branch: int, before: str | None = None) -> dict[str, Any]:
        return await read_path(world(app), story_id, branch, before)

    @app.get("/api/stories/{story_id}/tree")
    async def tree(story_id: UUID) -> list[dict[str, Any]]:
        return [place_page(place) for place in await world(app).branches.tree(story_id)]

    @app.get("/api/stories/{story_id}/scenes/{number}/world")
    async def as_of(story_id: UUID, number: int) -> dict[str, Any]:
        return await read_world(world(app), story_id, number)

    @app.get("/api/stories/{story_id}/scenes/{number}/alternatives")
    async def alternatives(story_id: UUID, number: int) -> list[dict[str, Any]]:
        found = await world(app).generations.alternatives(story_id, number)
        return [generation_page(generation, number) for generation in found]


async def read_path(of: World, story_id: UUID, branch: int, before: str | None) -> dict[str, Any]:
    """Return a page of a branch's scenes, oldest first, and the cursor of those before them."""
    found = await of.stories.scenes(story_id, branch=branch, after=before, limit=_SCENES, newest_first=True)
    return {"path": [scene_page(scene) for scene in reversed(found.items)], "older": found.next}


async def read_world(of: World, story_id: UUID, number: int) -> dict[str, Any]:
    """Return the cast of a scene and what is true, felt and remembered there; 0 is the place before the first scene."""
    facts, relationships, memories = await asyncio.gather(
        of.facts.all(story_id, as_of=number),
        of.relationships.graph(story_id, as_of=number),
        of.memories.recent(story_id, k=20, as_of=number),
    )
    scene = await of.stories.scene(story_id, number) if number else None
    ids = pages.ids_in(relationships, memories)
    names = pages.names_of(await asyncio.gather(*map(of.characters.get, ids)))
    return pages.world_page(scene, names, facts, relationships, memories)


def add_changing(app: FastAPI) -> None:
    """Add what is changed; turns are played over the socket."""

    @app.post("/api/stories", status_code=201)
    async def create(new: NewStory) -> dict[str, Any]:
        return story_page(await world(app).stories.create(**new.model_dump()))

    @app.post("/api/stories/{story_id}/undo")
    async def undo(story_id: UUID, move: Move) -> dict[str, Any]:
        return branch_page(await world(app).branches.undo(story_id, **move.model_dump()))

    @app.post("/api/stories/{story_id}/redo")
    async def redo(story_id: UUID, move: Move) -> dict[str, Any]:
        return branch_page(await world(app).branches.redo(story_id, **move.model_dump()))

    @app.post("/api/stories/{story_id}/fork", status_code=201)
    async def fork(story_id: UUID, new: Fork) -> dict[str, Any]:
        async with world(app).transaction() as tx:  # made and played, or neither
            made = await tx.branches.fork(story_id, new.name, at=new.at)
            return branch_page(await tx.branches.switch(story_id, made.number))

    @app.post("/api/stories/{story_id}/switch")
    async def switch(story_id: UUID, to: Switch) -> dict[str, Any]:
        return branch_page(await world(app).branches.switch(story_id, to.branch))

    @app.post("/api/stories/{story_id}/choose")
    async def choose(story_id: UUID, choice: Choose) -> dict[str, Any]:  # noqa: ARG001 - a generation knows its story
        return scene_page(await world(app).generations.choose(choice.generation, expected_head=choice.expected_head))


def world(app: FastAPI) -> World:
    """Return the world that is served."""
    found: World = app.state.world
    return found
