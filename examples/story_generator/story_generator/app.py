"""The web application: routes for what is read and changed, a WebSocket for what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ValidationError

from livingworld import LivingWorld, World
from livingworld.errors import Conflict, InvalidInput, LivingWorldError, NotFound, Refused
from story_generator import play
from story_generator.config import Config
from story_generator.live import Live, Watcher
from story_generator.models import choose_model
from story_generator.pages import branch_page, generation_page, scene_page, story_page
from story_generator.play import Stage

WORLD = "Story generator"


class NewStory(BaseModel):
    """A story to begin."""

    title: str
    premise: str = ""


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
    """The answer to show instead."""

    generation: UUID
    expected_head: int | None = None


def create_app(config: Config) -> FastAPI:
    """Return the application; it connects when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with LivingWorld.open(database_url=config.database_url) as livingworld:
            app.state.world = await one_world(livingworld)
            app.state.live = Live(app.state.world)
            app.state.stage = Stage(app.state.world, app.state.live, choose_model(config))
            yield
            await app.state.stage.close()
            await app.state.live.close()

    app = FastAPI(title="Story generator", lifespan=lifespan)
    app.add_exception_handler(LivingWorldError, refuse)
    add_reading(app)
    add_changing(app)
    add_socket(app)
    app.mount("/", StaticFiles(directory=str(files("story_generator").joinpath("static")), html=True))
    return app


async def one_world(livingworld: LivingWorld) -> World:
    """Return the world that all servers on this database share, made by the first of them."""
    found, _ = await livingworld.worlds.get_or_create("story-generator", name=WORLD)
    return found


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """Answer an error of livingworld with its name."""
    statuses = ((InvalidInput, 422), (NotFound, 404), (Conflict, 409), (Refused, 409))
    status = next((number for kind, number in statuses if isinstance(error, kind)), 503)
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


def add_reading(app: FastAPI) -> None:
    """Add what is read."""

    @app.get("/api/stories")
    async def stories() -> list[dict[str, Any]]:
        page = await world(app).stories.list(limit=100)
        return [story_page(story) for story in page.items]

    @app.get("/api/stories/{story_id}")
    async def story(story_id: UUID) -> dict[str, Any]:
        head = await world(app).stories.head(story_id)
        told = await world(app).stories.recent(story_id, 200, branch=head.branch.number)
        branches = await world(app).branches.list(story_id, limit=200)
        return {
            **story_page(head.story),
            "branch": branch_page(head.branch),
            "branches": [branch_page(branch) for branch in branches.items],
            "path": [scene_page(scene) for scene in told if scene.position <= head.branch.length],
        }

    @app.get("/api/stories/{story_id}/scenes/{number}/alternatives")
    async def alternatives(story_id: UUID, number: int) -> list[dict[str, Any]]:
        found = await world(app).generations.alternatives(story_id, number)
        return [generation_page(generation) for generation in found]


def add_changing(app: FastAPI) -> None:
    """Add what is changed; scenes are told over the socket."""

    @app.post("/api/stories", status_code=201)
    async def create(new: NewStory) -> dict[str, Any]:
        return story_page(await world(app).stories.create(new.title, premise=new.premise))

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


def add_socket(app: FastAPI) -> None:
    """Add the socket of a story: requests go up, everything that is told of the story comes down."""

    @app.websocket("/api/stories/{story_id}/live")
    async def live(socket: WebSocket, story_id: UUID) -> None:
        async with app.state.live.watching(story_id) as watcher:
            await socket.accept()  # the page that is loaded now is followed without a gap
            sending = asyncio.create_task(send(socket, watcher))
            try:
                while True:
                    hear(app, story_id, watcher, await socket.receive_text())
            except WebSocketDisconnect:
                pass  # the turn that was asked for goes on
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


def hear(app: FastAPI, story_id: UUID, watcher: Watcher, said: str) -> None:
    """Play what a socket asks for; who asks again for a turn that runs is told what was told so far."""
    try:
        request = play.Request.model_validate_json(said)
    except ValidationError as error:
        watcher.tell({"type": "refused", "error": "InvalidInput", "message": str(error)})
        return
    text = app.state.stage.play(story_id, request)
    watcher.tell({"type": "begun", "request_key": request.request_key, "text": text})


async def send(socket: WebSocket, watcher: Watcher) -> None:
    """Pass messages on until the socket is gone."""
    while True:
        await socket.send_json(await watcher.next())


def world(app: FastAPI) -> World:
    """Return the world that is served."""
    found: World = app.state.world
    return found
