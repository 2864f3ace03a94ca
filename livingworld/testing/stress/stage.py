"""What a phase plays with: a world, and the things in it that its history is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Self
from uuid import UUID

from livingworld import Subject, World

LANES: Final = ("lane 1", "lane 2", "lane 3")
DOCUMENTS: Final = ("weather", "tide")
COUNTER: Final = "steps"
LEASE: Final = "market"
#: The key of the story in the world beside.
ASIDE: Final = "aside"
#: The title of the stories that are carried into the world from the one beside it.
CARRIED: Final = "carried"
#: The list of what a copy of a world has not as its original has it: nobody appends to it.
DIFFERENCES: Final = "differences of a copy"
#: The list of the memories that have no vector of the world's embedder, and no job to get one.
UNEMBEDDED: Final = "memories that nobody embeds"
#: The subject of the facts that come with turns; each has an attribute of its own.
MARK: Final = Subject("mark")


@dataclass(frozen=True, slots=True)
class Stage:
    """The ids of a phase's world and of what is in it."""

    world: str
    #: Another world, for what is done without an effect that is checked.
    aside: str
    #: Scenes are appended to these and nothing else happens to them.
    stories: tuple[str, ...]
    #: Inputs are merged here.
    merged: str
    #: Written under the lease.
    fenced: str
    #: Written by the workers of the lanes.
    worked: str

    @classmethod
    async def build(cls, world: World, aside: World) -> Self:
        """Make the stories of a phase, in a world and in the one beside it."""
        await aside.stories.get_or_create(ASIDE)
        made = [str((await world.stories.create(name)).id) for name in ("one", "two", "merged", "fenced", "worked")]
        return cls(str(world.id), str(aside.id), tuple(made[:2]), *made[2:])

    @classmethod
    def of(cls, fields: dict[str, object]) -> Self:
        """Return a stage from `fields`, as a process receives it."""
        return cls(**(fields | {"stories": tuple(fields["stories"])}))  # type: ignore[arg-type]  # from `as_json`

    def as_json(self) -> dict[str, object]:
        """Return the fields for another process."""
        return asdict(self)

    @property
    def lists(self) -> tuple[UUID, ...]:
        """The stories whose scenes are lists of values."""
        return tuple(UUID(each) for each in (*self.stories, self.worked))


def facts_of(story: str) -> str:
    """Return the name of the list of facts that came with turns of a story."""
    return f"facts of {story}"
