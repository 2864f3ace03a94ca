"""Documents: values with versions, written by comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from livingworld.testing.history.attempts import attempts_at
from livingworld.testing.history.flaws import Anomalies, Anomaly, Flaw
from livingworld.testing.history.lists import check_real_time, check_values, earliest_end_from
from livingworld.testing.history.operations import Kind, Observed, Operation, Outcome, Value, effects_of


def check_documents(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    """Yield lost, doubled and misplaced versions of each document, and reads of versions that never were."""
    written = attempts_at(operations, Kind.WRITE)
    for target in written.keys() | observed.documents.keys():
        stored, asked = observed.documents.get(target, ()), written.get(target, {})
        yield from check_values(target, stored, asked)
        yield from check_real_time(target, stored, asked)
    yield from _versions(operations, observed)
    yield from _looks(operations, observed)


def _versions(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    writers: defaultdict[tuple[str, int], set[Value | None]] = defaultdict(set)
    for operation, effect, version in effects_of(operations, Kind.WRITE):
        if operation.outcome is Outcome.OK and version is not None:
            writers[effect.target, version].add(effect.value)
    for (target, version), values in writers.items():
        if len(values) > 1:
            yield Anomaly(Flaw.LOST, target, f"version {version} was confirmed to {len(values)} writers: {values}")
        elif value_of(observed, target, version) not in values:
            yield Anomaly(Flaw.WRONG_ORDER, target, f"version {version} is not {values.pop()!r}, as was confirmed")


def _looks(operations: Sequence[Operation], observed: Observed) -> Anomalies:
    written = attempts_at(operations, Kind.WRITE)
    ends = {target: earliest_end_from(stored, written.get(target, {})) for target, stored in observed.documents.items()}
    for operation, effect, seen in effects_of(operations, Kind.LOOK):
        if operation.outcome is not Outcome.OK:
            continue
        version, value = seen
        stored = observed.documents.get(effect.target, ())
        if version > len(stored) or (version and stored[version - 1] != value):
            yield Anomaly(Flaw.PHANTOM, effect.target, f"{value!r} was read as version {version}, which it never was")
        elif effect.target in ends and ends[effect.target][version] < operation.started:
            yield Anomaly(Flaw.STALE, effect.target, f"version {version} was read after a later one was confirmed")


def value_of(observed: Observed, target: str, version: int) -> Value | None:
    """Return the stored value of a version, or None when there is no such version."""
    stored = observed.documents.get(target, ())
    return stored[version - 1] if 1 <= version <= len(stored) else None
