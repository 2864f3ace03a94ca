"""Taking a finished story out of its world and back: seconds, CPU of the process, and its peak of memory in each step.

    export, verify, purge, import    of one story of --scenes scenes, every twentieth a whole turn with 5 who appear,
                                     10 facts, 5 changes of relationships and 5 memories

What came back is compared with what was there: the digests of a bundle before and of one after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from growth import grow
from scenes import sample_scenes
from servers import describe, parser, server_url
from world_state import CAST, state

from livingworld import Bundle, LivingWorld, NewScene, Settings, World, verify_bundle
from livingworld.postgres import migrations

_SCENES_OF_A_TURN: Final = 20
_PEAK: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")


async def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--scenes", type=int, default=20_000)
    arguments = made.parse_args()
    with server_url(arguments) as url, tempfile.TemporaryDirectory() as folder:
        await migrations.upgrade(url)
        result = await measure(url, arguments, Path(folder)) | await describe(url)
    print(json.dumps(result, indent=None if arguments.json else 2))


async def measure(url: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return what each step took, and how large the bundle is."""
    before, after = folder / "before.jsonl", folder / "after.jsonl"
    async with LivingWorld.open(Settings.load(database_url=url, index_words=False)) as livingworld:
        world = await livingworld.worlds.create("benchmark")
        story_id = await finished_story(world, arguments.scenes)
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "export": lambda: world.export_story(story_id, before),
            "verify": lambda: asyncio.to_thread(verify_bundle, before),
            "purge": lambda: world.stories.purge(story_id),
            "import": lambda: world.import_story(before),
        }
        costs = {name: await cost_of(step) for name, step in steps.items()}
        was, now = verify_bundle(before), await world.export_story(story_id, after)
    assert rows_of(was) == rows_of(now)
    assert contents_of(before) == contents_of(after)
    return {"rows": sum(was.counts.values()), "megabytes": round(before.stat().st_size / 1e6, 1), **costs}


async def finished_story(world: World, scenes: int) -> UUID:
    """Return an archived story of so many scenes."""
    story_id = (await world.stories.create("The finished one")).id
    texts, turns = sample_scenes(), scenes // _SCENES_OF_A_TURN
    await grow(world, story_id, texts, scenes - turns)
    for number in range(turns):
        async with world.turns.take(story_id, request_key=f"turn {number}") as turn:
            await turn.commit(NewScene(next(texts).content, ["on"], CAST), state(number * 10))
    await world.stories.archive(story_id)
    return story_id


async def cost_of(step: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Return the seconds of a step, those of the process's CPU, and its memory before and at most."""
    start = megabytes("VmRSS")
    if _PEAK.exists():
        _PEAK.write_text("5")
    began, used = time.perf_counter(), time.process_time()
    await step()
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "megabytes_before": start,
        "megabytes_at_most": megabytes("VmHWM"),
    }


def megabytes(name: str) -> float:
    """Return how much memory the process has; 0 where the system does not say."""
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(f"{name}:")), 0)


def rows_of(bundle: Bundle) -> dict[str, int]:
    """Return how many rows of each table a bundle has."""
    return dict(bundle.counts)


def contents_of(path: Path) -> list[str]:
    """Return the rows of a bundle without their digests, which begin with the moment of the export."""
    with path.open(encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        return [json.dumps(row["row"]) for row in rows if "row" in row]


if __name__ == "__main__":
    asyncio.run(main())
