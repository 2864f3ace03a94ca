"""Records what clients asked a store for and were answered, and checks whether any promise was broken.

    history = History()
    with history.recording("client 1", "append_scene", Effect(Kind.APPEND, "story", "a lantern")) as answer:
        answer.results = ((await world.stories.append_scene(story.id, NewScene("a lantern"))).number,)
    ...
    verdict = check(history.operations, Observed(lists={"story": [scene.content for scene in scenes]}))
    assert verdict.kept, verdict.anomalies

Nothing here knows livingworld's tables: the same checks hold for any store.
"""

from livingworld.testing.history.flaws import Anomaly, Flaw
from livingworld.testing.history.operations import Effect, Kind, Observed, Operation, Outcome
from livingworld.testing.history.recorder import History, read_operations
from livingworld.testing.history.verdict import Verdict, check

__all__ = [
    "Anomaly",
    "Effect",
    "Flaw",
    "History",
    "Kind",
    "Observed",
    "Operation",
    "Outcome",
    "Verdict",
    "check",
    "read_operations",
]
