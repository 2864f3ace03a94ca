"""Records the operations of the clients of one process, and carries them to another one as lines of JSON."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TextIO

from livingworld.errors import Conflict, InvalidInput, NotFound, Refused
from livingworld.testing.history.operations import Effect, Kind, Operation, Outcome

#: Errors which promise that nothing was written. All others leave it open.
_NOTHING_WRITTEN: Final = (Conflict, NotFound, Refused, InvalidInput)


@dataclass(slots=True)
class Answer:
    """Where a recorded block puts what it was answered."""

    results: tuple[Any, ...] = ()
    #: Effects that are known only from the answer.
    effects: tuple[Effect, ...] = ()


@dataclass(slots=True)
class History:
    """The operations of the clients of one process, in the order of their ends.

    With a `journal` each operation is written when it begins and when it ends, so that what a killed process had
    begun is known. The journal has to be line buffered.
    """

    operations: list[Operation] = field(default_factory=list)
    journal: TextIO | None = None
    #: What has begun and not ended, by number.
    running: dict[int, Operation] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def recording(
        self, client: str, name: str, *effects: Effect, request_key: str | None = None, fault: str | None = None
    ) -> Iterator[Answer]:
        """Record the block as one operation; its error passes on.

        An error of livingworld which promises that nothing was written makes the outcome `failed`; any other one, a
        cancellation included, makes it `unknown`.
        """
        answer, outcome, number = Answer(), Outcome.UNKNOWN, next(self._numbers)
        span = time.monotonic(), math.inf
        begun = Operation(client, name, effects, *span, outcome, (), request_key, fault)
        self._begin(number, begun)
        try:
            yield answer
            outcome = Outcome.OK
        except _NOTHING_WRITTEN:
            outcome = Outcome.FAILED
            raise
        finally:
            done = replace(begun, ended=time.monotonic(), outcome=outcome, results=answer.results)
            self._end(number, replace(done, effects=effects + answer.effects))

    def _begin(self, number: int, operation: Operation) -> None:
        self.running[number] = operation
        self._write(number, operation)

    def _end(self, number: int, operation: Operation) -> None:
        del self.running[number]
        self.operations.append(operation)
        self._write(number, operation)

    def _write(self, number: int, operation: Operation) -> None:
        if self.journal is not None:
            self.journal.write(json.dumps([number, asdict(operation)]) + "\n")


def read_operations(lines: Iterable[str]) -> list[Operation]:
    """Return the operations of a journal; what had begun and not ended is `unknown` and has no end.

    A last line that was cut off is passed over.
    """
    found: dict[int, Operation] = {}
    for line in lines:
        if line.endswith("\n"):
            number, fields = json.loads(line)
            found.pop(number, None)
            found[number] = _operation(fields)
    return list(found.values())


def _operation(fields: dict[str, Any]) -> Operation:
    effects = tuple(Effect(Kind(each["kind"]), each["target"], each["value"]) for each in fields["effects"])
    known = {"effects": effects, "outcome": Outcome(fields["outcome"]), "results": tuple(fields["results"])}
    return Operation(**(fields | known))
