"""What one transaction holds, and whether its next lock comes in order."""

from __future__ import annotations

from typing import Any, Final

from livingworld.errors import LockOrderViolation

#: Less than every kind.
_BEFORE_ALL: Final = -(2**31)


class LockOrder:
    """The locks of one transaction, by kind and key; pure, no I/O."""

    def __init__(self) -> None:
        self._kind = _BEFORE_ALL
        self._held: dict[int, set[Any]] = {}

    def copy(self) -> LockOrder:
        """Return what is held now, to come back to when a savepoint is rolled back and its locks with it."""
        twin = LockOrder()
        twin._kind = self._kind
        twin._held = {kind: set(keys) for kind, keys in self._held.items()}
        return twin

    def enter(self, kind: int) -> None:
        """Begin to lock this kind, or raise LockOrderViolation when a later kind was begun and this one never was."""
        if kind in self._held:
            return
        if kind < self._kind:
            raise LockOrderViolation(kind=getattr(kind, "name", kind), after=self._kind)
        self._kind = kind
        self._held[kind] = set()

    def is_late(self, kind: int, key: Any) -> bool:  # noqa: ANN401 - keys of one kind compare among themselves
        """Return whether waiting for this key would be out of order: something later is held, and this key is not."""
        held = self._held[kind]
        if key in held:
            return False
        return kind < self._kind or any(key < other for other in held)

    def held(self, kind: int) -> frozenset[Any]:
        """Return the keys of a kind that are locked until the transaction ends."""
        return frozenset(self._held.get(kind, ()))

    def hold(self, kind: int, key: Any) -> None:  # noqa: ANN401
        """Remember that this key is locked until the transaction ends."""
        self._held[kind].add(key)
