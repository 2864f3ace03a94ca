"""The pattern most programs use: lock the story with the ORM, add the scene and its choices, commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

from scenes import SampleScene
from sqlalchemy import ForeignKey, ForeignKeyConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import CreateSchema

from peers import CONNECTIONS


class _Base(DeclarativeBase):
    """Tables of this pattern."""


class Story(_Base):
    """A story."""

    __tablename__ = "stories"
    __table_args__ = ({"schema": "orm_pattern"},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    last_scene_number: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Choice(_Base):
    """A choice of a scene."""

    __tablename__ = "choices"

    story_id: Mapped[UUID] = mapped_column(primary_key=True)
    scene_number: Mapped[int] = mapped_column(primary_key=True)
    choice_number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(
            ["story_id", "scene_number"], ["orm_pattern.scenes.story_id", "orm_pattern.scenes.scene_number"]
        ),
        {"schema": "orm_pattern"},
    )


class Scene(_Base):
    """A scene of a story."""

    __tablename__ = "scenes"
    __table_args__ = ({"schema": "orm_pattern"},)

    story_id: Mapped[UUID] = mapped_column(ForeignKey(Story.id), primary_key=True)
    scene_number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    choices: Mapped[list[Choice]] = relationship()


class OrmPattern:
    """An engine and its sessions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def begin(self, count: int) -> Sequence[UUID]:
        """Begin so many stories."""
        stories = [uuid4() for _ in range(count)]
        async with self._sessions() as session, session.begin():
            session.add_all([Story(id=story_id, title="benchmark") for story_id in stories])
        return stories

    async def append(self, story_id: UUID, scene: SampleScene) -> object:
        """Append a scene."""
        async with self._sessions() as session, session.begin():
            story = (await session.scalars(select(Story).filter_by(id=story_id).with_for_update())).one()
            story.last_scene_number += 1
            choices = [Choice(choice_number=at, content=text) for at, text in enumerate(scene.choices, start=1)]
            number = story.last_scene_number
            session.add(Scene(story_id=story_id, scene_number=number, content=scene.content, choices=choices))
        return number

    async def stored(self, story_ids: Sequence[UUID]) -> int:
        """Return how many scenes of these stories are stored."""
        async with self._sessions() as session:
            return await session.scalar(select(func.count()).where(Scene.story_id.in_(story_ids))) or 0


async def prepare(url: str) -> str:
    """Make the tables."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(CreateSchema("orm_pattern", if_not_exists=True))
        await connection.run_sync(_Base.metadata.create_all)
    await engine.dispose()
    return "orm_pattern"


@asynccontextmanager
async def opened(url: str, _: str) -> AsyncIterator[OrmPattern]:
    """Open the engine."""
    engine = create_async_engine(url, pool_size=CONNECTIONS, isolation_level="READ COMMITTED")
    try:
        yield OrmPattern(engine)
    finally:
        await engine.dispose()
