"""The web application: routes for what is read and changed, a WebSocket for turns and for what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from livingworld import LivingWorld, World
from livingworld.errors import Conflict, InvalidInput, LivingWorldError, NotFound, Refused
from story_generator import play
from story_generator.config import Config
from story_generator.explain import explain
from story_generator.live import Watcher
from story_generator.models import choose_model
from story_generator.play import Stage
from story_generator.relay import Relay
from story_generator.routes import add_changing, add_reading

WORLD = "Story generator"


class Play(play.Request):
    """A turn to play."""

    type: Literal["play"]


class Stop(BaseModel):
    """A turn to stop."""

    type: Literal["stop"]
    request_key: str
    player: str = "Somebody"


_MESSAGE: Final[TypeAdapter[Play | Stop]] = TypeAdapter(Annotated[Play | Stop, Field(discriminator="type")])


def create_app(config: Config) -> FastAPI:
    """Return the application; it connects when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with LivingWorld.open(database_url=config.database_url) as livingworld:
            app.state.world = await one_world(livingworld)
            app.state.relay = Relay(app.state.world)
            app.state.model = choose_model(config)
            app.state.stage = Stage(app.state.world, app.state.relay, app.state.model)
            yield
            await app.state.stage.close()
            await app.state.relay.close()

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
    """Answer an error of livingworld with its name, its words and the next steps."""
    statuses = ((InvalidInput, 422), (NotFound, 404), (Conflict, 409), (Refused, 409))
    status = next((number for kind, number in statuses if isinstance(error, kind)), 503)
    return JSONResponse(explain(error), status)


def add_socket(app: FastAPI) -> None:
    """Add the socket of a story: requests go up, everything that happens in the story comes down."""

    @app.websocket("/api/stories/{story_id}/live")
    async def live(socket: WebSocket, story_id: UUID) -> None:
        async with app.state.relay.live.watching(story_id) as watcher:
            await socket.accept()  # the page that is loaded now is followed without a gap
            watcher.send(app.state.relay.turns(story_id))
            sending = asyncio.create_task(send(socket, watcher))
            try:
                while True:
                    await receive(app.state.stage, story_id, watcher, await socket.receive_text())
            except WebSocketDisconnect:
                pass  # the turn that was asked for goes on
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


async def receive(stage: Stage, story_id: UUID, watcher: Watcher, text: str) -> None:
    """Do what a socket asks for."""
    try:
        message = _MESSAGE.validate_json(text)
    except ValidationError as error:
        watcher.send({"type": "refused", "error": "InvalidInput", "message": str(error), "next": []})
        return
    if isinstance(message, Stop):
        await stage.stop(story_id, message.request_key, message.player)
        return
    stage.play(story_id, play.Request(**message.model_dump(exclude={"type"})))


async def send(socket: WebSocket, watcher: Watcher) -> None:
    """Pass messages on until the socket is gone."""
    while True:
        message: dict[str, Any] = await watcher.next()
        await socket.send_json(message)
