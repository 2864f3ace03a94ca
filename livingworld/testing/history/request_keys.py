"""Request keys: what is asked for again with a key has happened once, and every caller receives one answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.operations import Operation, Outcome


def check_request_keys(operations: Sequence[Operation], _observed: object = None) -> Anomalies:
    """Yield each key whose callers received different answers; an answer that is another's is found by its value."""
    asked: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.request_key is not None and operation.outcome is Outcome.OK:
            asked[operation.name, operation.request_key].append(operation)
    for (_, key), calls in asked.items():
        answers = {repr(each.results) for each in calls}
        if len(answers) > 1:
            target = calls[0].effects[0].target
            yield Anomaly(
                Flaw.DOUBLED, target, f"the request key {key!r} had {len(answers)} answers: {sorted(answers)}"
            )
