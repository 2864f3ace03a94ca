"""When a unit runs again: many quick tries after a lost conflict, few slow ones while the server is away."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from livingworld.errors import LivingWorldError
from livingworld.observability import events
from livingworld.postgres.driver_errors.failures import DriverError, RetryKind

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

    from livingworld.settings.settings import Settings

T = TypeVar("T")
#: Takes notice of a further try: its kind, and the error of the try before.
Retried = Callable[[str, LivingWorldError], None]

_FIRST_WAIT_SECONDS = {RetryKind.CONFLICT: 0.005, RetryKind.OUTAGE: 0.2}
_LONGEST_WAIT_SECONDS = {RetryKind.CONFLICT: 0.25, RetryKind.OUTAGE: 5.0}


class RolledBack(Exception):  # noqa: N818 - a signal to the retry loop; callers never see it
    """The unit certainly left nothing behind, and may run again."""

    def __init__(
        self, error: LivingWorldError, cause: DriverError, kind: RetryKind, row: tuple[object, ...] | None = None
    ) -> None:
        super().__init__()
        self.error = error
        self.cause = cause
        self.kind = kind
        #: The row that it could not lock, when that is known.
        self.row = row

    def traced_error(self) -> LivingWorldError:
        """Return the error for the caller; one that was never raised gets the frames of this signal."""
        return self.error.with_traceback(self.error.__traceback__ or self.__traceback__)


async def run_within_budgets(
    unit: Callable[[], Awaitable[T]], settings: Settings, end: float, retried: Retried = lambda _kind, _error: None
) -> T:
    """Run a unit until it succeeds, fails for good, or a budget or the time is used up; then raise its last error.

    No try is begun that could not start before `end`, in seconds of the event loop's clock.

    The loop is entered with the first failure in hand: most units never need it, and it costs half a statement.
    """
    failed: RolledBack | None = None
    try:
        return await unit()
    except RolledBack as signal:
        failed = signal

    async def again() -> T:
        nonlocal failed
        if failed is not None:
            first, failed = failed, None
            raise first
        return await unit()

    return await Budgets(settings, end, retried).retrying()(again)


@dataclass
class Budgets:
    """How often one unit has been repeated, by kind; one object for each unit."""

    settings: Settings
    #: When the call has to be over, in seconds of the event loop's clock.
    end: float
    #: Called before each further try.
    retried: Retried
    spent: Counter[RetryKind] = field(default_factory=Counter)

    def retrying(self) -> AsyncRetrying:
        """Return the tenacity loop that runs a unit within these budgets and re-raises its last error."""
        from tenacity import AsyncRetrying  # noqa: PLC0415 - most processes never repeat a unit

        return AsyncRetrying(
            retry=self._may_repeat, stop=self._time_is_up, wait=self._wait, before_sleep=self._report, reraise=True
        )

    def _may_repeat(self, state: RetryCallState) -> bool:
        signal = _signal(state)
        if signal is None:
            return False
        allowed = {
            RetryKind.CONFLICT: self.settings.conflict_retries,
            RetryKind.OUTAGE: self.settings.outage_retries,
        }
        self.spent[signal.kind] += 1
        return self.spent[signal.kind] <= allowed.get(signal.kind, 0)

    def _time_is_up(self, state: RetryCallState) -> bool:
        return asyncio.get_running_loop().time() + state.upcoming_sleep > self.end

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter over an exponentially growing bound, so that the losers of one conflict spread out."""
        signal = _signal(state)
        if signal is None:
            return 0.0
        bound = _FIRST_WAIT_SECONDS[signal.kind] * 2.0 ** min(self.spent[signal.kind], 16)
        return random.uniform(0, min(bound, _LONGEST_WAIT_SECONDS[signal.kind]))  # noqa: S311 - no secret

    def _report(self, state: RetryCallState) -> None:
        signal = _signal(state)
        if signal is not None:
            kind = signal.kind.value
            self.retried(kind, signal.error)
            events.emit(events.RETRIED, error=type(signal.error).__name__, attempt=state.attempt_number, kind=kind)


def _signal(state: RetryCallState) -> RolledBack | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, RolledBack) else None
