"""A span of OpenTelemetry for each public call, of every LivingWorld of the process, while a block runs.

The calls are wrapped when the block begins and unwrapped when it ends, as instrumentations of OpenTelemetry do: a
process that traces nothing pays nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from livingworld.observability.opentelemetry_spans import Tracing
from livingworld.story.worlds.repository import WorldRepository
from livingworld.sync import generated
from livingworld.sync.mirror import Mirror

#: How a program writes an object of each public class.
ROOMS: Final = {
    "AIModelRepository": "ai_models",
    "AIModels": "ai_models",
    "ActionClaims": "actions",
    "ActionRepository": "actions",
    "ActionWorker": "action_worker",
    "Actions": "actions",
    "BranchRepository": "branches",
    "CharacterRepository": "characters",
    "Cycle": "cycle",
    "Cycles": "cycles",
    "DocumentRepository": "documents",
    "Documents": "documents",
    "EmbeddingPipeline": "embeddings",
    "FactRepository": "facts",
    "GenerationRepository": "generations",
    "HeldLease": "held_lease",
    "InteractionRepository": "interactions",
    "Leases": "leases",
    "Live": "live",
    "LivePublisher": "live",
    "LivingWorld": "livingworld",
    "LoreRepository": "lore",
    "MemoryEmbeddings": "memory_embeddings",
    "MemoryRepository": "memories",
    "ModelHost": "model_host",
    "Presences": "presence",
    "RelationshipRepository": "relationships",
    "RunningAction": "running_action",
    "RunningTask": "running_task",
    "SampleCollector": "sample_collector",
    "ScriptRepository": "scripts",
    "Scripts": "scripts",
    "Search": "search",
    "SessionRepository": "sessions",
    "Sessions": "sessions",
    "StoryRepository": "stories",
    "Subscription": "subscription",
    "TaskRepository": "tasks",
    "Tasks": "tasks",
    "TextEmbeddings": "text_embeddings",
    "TrainingSampleRepository": "ai_models.samples",
    "TransactionLocks": "locks",
    "TransactionScope": "tx",
    "Turn": "turn",
    "TurnCall": "turn_call",
    "TurnRepository": "turns",
    "Turns": "turns",
    "World": "world",
    "WorldLocks": "locks",
    "WorldRepository": "worlds",
    "WorldSearch": "search",
    "Worlds": "worlds",
}
#: Blocks that last as long as the program likes: their spans end when they are entered.
_LASTING: Final = {
    *("collecting", "connected", "ended", "following", "hold", "owning", "pruning", "running", "serving", "subscribe"),
    *("sweeping", "taking_over", "watching_locks"),
}
_LEFT_OUT: Final = {"LivingWorld.open", "LivingWorld.export_metrics"}


@contextmanager
def trace_calls(tracer_provider: Any = None) -> Iterator[None]:  # noqa: ANN401 - OpenTelemetry's
    """Make a span for each public call in this process while the block runs, below the caller's span.

    `tracer_provider`: None is the global one. Its attributes are ids and numbers, never a text. Begin it before a
    LivingWorld is opened. Raises MissingPackage without `livingworld[otel]`.
    """
    tracing = Tracing(tracer_provider)
    wrapped: list[tuple[type[Any], str, Any]] = []
    try:
        for kind, name, function in _calls():
            wrapped.append((kind, name, function))
            setattr(kind, name, _traced(tracing, f"{ROOMS[kind.__name__]}.{name}", name, function))
        yield
    finally:
        for kind, name, function in wrapped:
            setattr(kind, name, function)


def _calls() -> Iterator[tuple[type[Any], str, Callable[..., Any]]]:
    """Yield the calls that wait and the blocks of each public class, by the class that defines them."""
    kinds: list[type[Any]] = [WorldRepository, *public_classes()]
    for kind in kinds:
        for name, value in list(vars(kind).items()):
            if not name.startswith("_") and inspect.isfunction(value) and f"{kind.__name__}.{name}" not in _LEFT_OUT:
                yield kind, name, value


def public_classes() -> list[type[Any]]:
    """Return the classes of the objects that a program calls: those that have a blocking twin."""
    twins = [vars(generated)[name] for name in vars(generated) if inspect.isclass(vars(generated)[name])]
    return [each.original for each in twins if issubclass(each, Mirror)]


def _traced(tracing: Tracing, path: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        return tracing.call(path, function)
    opens = str(inspect.signature(function).return_annotation).startswith("AbstractAsyncContextManager")
    if opens or (hasattr(function, "__wrapped__") and inspect.isasyncgenfunction(inspect.unwrap(function))):
        return tracing.block(path, function, whole=name not in _LASTING)
    return function
