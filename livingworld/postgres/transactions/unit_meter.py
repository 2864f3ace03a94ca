"""What the runner counts: units and their outcomes, further tries, waits for held rows, and each statement."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any, Final

from sqlalchemy import URL, TextClause

from livingworld.errors import AlreadyInTransaction, Closed, Conflict, InvalidInput, NotFound, Refused
from livingworld.observability import instruments
from livingworld.observability.calls import CallMeasure
from livingworld.observability.histogram import Histogram
from livingworld.observability.metrics import Metrics
from livingworld.postgres.driver_errors.failures import Failure

#: Answers that a caller has to expect: they are no failures.
REFUSALS: Final = (InvalidInput, NotFound, Conflict, Refused, Closed, AlreadyInTransaction)
#: Most statements whose name is kept; a program has a few hundred.
_MOST_NAMES: Final = 2_000
_FUNCTION: Final = re.compile(r"\blivingworld\.(\w+?)(?:_v\d+)?\s*\(")
_FIRST_WORD: Final = re.compile(r"\s*(?:--[^\n]*\n\s*)*(\w+)")


class UnitMeter:
    """Counts the units of one pool."""

    def __init__(self, metrics: Metrics, url: URL) -> None:
        self.metrics = metrics
        #: Where the statements go, as CallMeasure has it.
        self.server = server_of(url)
        self._committed = metrics.histogram(instruments.UNIT_DURATION, "committed", "")
        #: By the text of a statement, or by the class of one that is compiled.
        self._statements: dict[object, Histogram] = {}

    def committed(self, began: float) -> None:
        """Count a unit that was carried out; `began` is a moment of perf_counter."""
        self._committed.record(perf_counter() - began)

    def failed(self, began: float, error: BaseException) -> None:
        """Count a unit that ended with an error."""
        outcome = "refused" if isinstance(error, REFUSALS) else "failed"
        self.metrics.record(instruments.UNIT_DURATION, perf_counter() - began, outcome, type(error).__name__)
        if isinstance(error, Conflict | Refused):
            self.metrics.add(instruments.CONFLICTS, 1, type(error).__name__)

    def retried(self, kind: str, error: BaseException) -> None:
        """Count a further try."""
        self.metrics.add(instruments.UNIT_RETRIES, 1, kind, type(error).__name__)

    def waited(self, began: float, call: CallMeasure | None, *, went_on: bool) -> None:
        """Count the wait of a unit for a row that was held; `began` is a moment of perf_counter."""
        seconds = perf_counter() - began
        self.metrics.record(instruments.UNIT_LOCK_WAIT, seconds, "went on" if went_on else "gave up")
        if call is not None:
            call.lock_seconds += seconds

    def answered(self, statement: object, began: float, call: CallMeasure | None) -> None:
        """Count a statement that was carried out; `began` is a moment of perf_counter."""
        seconds = perf_counter() - began
        key = statement if type(statement) is str else _text_or_class(statement)
        histogram = self._statements.get(key)
        if histogram is None:
            name = operation_name(statement)
            histogram = self.metrics.histogram(instruments.STATEMENT_DURATION, name, *self.server, "", "")
            if len(self._statements) < _MOST_NAMES:
                self._statements[key] = histogram
        histogram.record(seconds)
        if call is not None:
            self._add(call, seconds)

    def refused(self, statement: object, began: float, failure: Failure, call: CallMeasure | None) -> None:
        """Count a statement that failed; `began` is a moment of perf_counter."""
        seconds, name = perf_counter() - began, operation_name(statement)
        answer = (type(failure.error).__name__, failure.cause.sqlstate or "")
        self.metrics.record(instruments.STATEMENT_DURATION, seconds, name, *self.server, *answer)
        if call is not None:
            self._add(call, seconds)

    def _add(self, call: CallMeasure, seconds: float) -> None:
        call.server_seconds += seconds
        call.statements += 1
        call.server = self.server


def server_of(url: URL) -> tuple[str, str, str]:
    """Return a database, its host and its port where that is not 5432; of several hosts none, since any may answer."""
    host = url.host or url.query.get("host", "")
    if not isinstance(host, str) or "," in host:
        return url.database or "", "", ""
    port = str(url.port or url.query.get("port", ""))
    return url.database or "", host, port if host and port != "5432" else ""


def _text_or_class(statement: object) -> object:
    return statement.text if isinstance(statement, TextClause) else type(statement)


def operation_name(statement: Any) -> str:  # noqa: ANN401 - text, or a statement of SQLAlchemy's
    """Return the name of a statement: its function of livingworld, else its first word; never a value."""
    if isinstance(statement, TextClause):
        statement = statement.text
    if not isinstance(statement, str):
        return str(getattr(statement, "__visit_name__", "other")).upper()
    if (function := _FUNCTION.search(statement)) is not None:
        return function[1]
    word = _FIRST_WORD.match(statement)
    return word[1].upper() if word is not None else "OTHER"
