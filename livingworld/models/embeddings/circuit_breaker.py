"""A circuit breaker: what fails too often is left alone, then tried by one call before all the others.

Nothing here waits, so each step is whole. A call is known by its permit: one that comes back late, from before
the circuit opened, neither closes nor opens it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Final

from livingworld.errors import CircuitOpen
from livingworld.inputs import MAX_INTEGER, check_integer, check_number

_FAILURES: Final = 5
_REST: Final = timedelta(seconds=30)


class CircuitState(Enum):
    """Which calls get through."""

    #: Every call.
    CLOSED = "closed"
    #: No call.
    OPEN = "open"
    #: One probe, and no other call while it is under way.
    HALF_OPEN = "half-open"


class Permit:
    """The right to make one call; given back by reporting how it ended."""

    __slots__ = ("term",)

    def __init__(self, term: int) -> None:
        #: The period between two changes of the circuit that it belongs to.
        self.term = term


class CircuitBreaker:
    """Opens after failures in a row, half-opens after a rest, closes when the probe succeeds."""

    def __init__(self, clock: Callable[[], float], *, failures: int = _FAILURES, rest: timedelta = _REST) -> None:
        """`clock` gives seconds that only rise; `failures` in a row open the circuit for the time of `rest`.

        Raises InvalidInput.
        """
        self._clock = clock
        self._limit = check_integer("failures", failures, minimum=1)
        self._rest = check_number("rest", rest.total_seconds(), minimum=0, maximum=MAX_INTEGER)
        self._term = 0
        self._failures = 0
        #: None while it is closed.
        self._opened_at: float | None = None
        self._probe: Permit | None = None

    @property
    def state(self) -> CircuitState:
        """The state now, by the clock."""
        if self._opened_at is None:
            return CircuitState.CLOSED
        rested = self._clock() - self._opened_at >= self._rest
        return CircuitState.HALF_OPEN if rested else CircuitState.OPEN

    @property
    def permitted(self) -> bool:
        """Whether `begin` would give a permit now."""
        state = self.state
        return state is CircuitState.CLOSED or (state is CircuitState.HALF_OPEN and self._probe is None)

    def begin(self) -> Permit:
        """Return the permit for one call; raises CircuitOpen."""
        if not self.permitted:
            raise CircuitOpen
        permit = Permit(self._term)
        if self._opened_at is not None:
            self._probe = permit
        return permit

    def succeed(self, permit: Permit) -> None:
        """Report that the call succeeded: a probe closes the circuit."""
        if permit is self._probe:
            self._probe = None
            self._opened_at = None
            self._term += 1
        elif permit.term == self._term:
            self._failures = 0

    def fail(self, permit: Permit) -> None:
        """Report that the call failed: a probe, or the last of too many failures in a row, opens the circuit."""
        if permit is self._probe:
            self._open()
        elif permit.term == self._term:
            self._failures += 1
            if self._failures >= self._limit:
                self._open()

    def release(self, permit: Permit) -> None:
        """Report that the call ended without showing whether the backend works, as a cancelled one does."""
        if permit is self._probe:
            self._probe = None

    def _open(self) -> None:
        self._probe = None
        self._failures = 0
        self._opened_at = self._clock()
        self._term += 1
