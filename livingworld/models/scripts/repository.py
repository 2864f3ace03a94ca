"""Scripts: named texts of which every version is kept, and one is active."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from livingworld.errors import InvalidType
from livingworld.inputs import MAX_INTEGER, check_boolean, check_integer, check_iterable, check_text
from livingworld.models.scripts import activating, reading
from livingworld.models.scripts.kinds import CheckedScript, check_name
from livingworld.models.scripts.records import ScriptHead, ScriptUsage, ScriptVersion
from livingworld.postgres.keyset import Page, check_limit, number_cursor
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

#: Most texts of one call.
MAX_SCRIPTS: Final = 10_000


class ScriptRepository:
    """The stored scripts of one world; every write locks the script's row until the transaction ends."""

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def publish(
        self, script: CheckedScript, *, expected_version: int | None = None, activate: bool = True
    ) -> ScriptVersion:
        """Store a text that was checked as the script's next version and return it; no version is ever changed.

        The first one makes the script. A text equal to the newest version's is that version, unless it is retired.
        `expected_version` is the number of the newest version, 0 for no script yet; raises VersionConflict.
        """
        given = [_check_script(script, "script")]
        (version,) = await self.publish_all(given, expected_versions=[expected_version], activate=activate)
        return version

    async def publish_all(
        self,
        scripts: Iterable[CheckedScript],
        *,
        expected_versions: Iterable[int | None] | None = None,
        activate: bool = True,
    ) -> tuple[ScriptVersion, ...]:
        """Do as `publish` with several scripts at once: others see all of the new versions, or none."""
        given = check_iterable("scripts", scripts, limit=MAX_SCRIPTS)
        new = [_check_script(script, f"scripts[{index}]") for index, script in enumerate(given)]
        check_boolean("activate", activate)
        expected = [None] * len(new) if expected_versions is None else [_optional(each) for each in expected_versions]
        if len(expected) != len(new):
            raise InvalidType("expected_versions", "must have one for each script")
        order = sorted(range(len(new)), key=lambda place: new[place].name)

        async def work(tx: Transaction) -> tuple[ScriptVersion, ...]:
            stored = {}
            for place in order:
                one = new[place]
                stored[place] = await activating.publish(
                    tx, self._world_id, one, expected_version=expected[place], activate=activate
                )
            return tuple(stored[place] for place in range(len(new)))

        return await self._unit.run(work)

    async def activate(self, name: str, version: int, *, expected_activation: int | None = None) -> ScriptVersion:
        """Make a version the active one and return it; nothing happens when it is.

        A version that was marked for retirement is ready again. Raises ScriptNotFound, ScriptRetired, and
        VersionConflict when `expected_activation` is not the script's: it tells versions apart that came back.
        """
        key, number = check_name(name), check_integer("version", version, minimum=1)
        _optional(expected_activation, "expected_activation")
        return await self._unit.run(
            lambda tx: activating.activate(tx, self._world_id, key, number, expected_activation=expected_activation)
        )

    async def rollback(
        self, name: str, *, expected_version: int | None = None, expected_activation: int | None = None
    ) -> ScriptVersion:
        """Make the version active again that was so before this one, and return it; again goes back further.

        Retired versions are passed over. `expected_version` is the active version, so that of two who roll back from
        it one does; `expected_activation` also notices that it went and came back. Raises VersionConflict,
        NothingToRollBack, ScriptNotFound.
        """
        key = check_name(name)
        _optional(expected_version)
        _optional(expected_activation, "expected_activation")
        return await self._unit.run(
            lambda tx: activating.roll_back(
                tx, self._world_id, key, expected_version=expected_version, expected_activation=expected_activation
            )
        )

    async def get(self, name: str, version: int | None = None) -> ScriptVersion:
        """Return a version of a script with its text, without one the active version; raises ScriptNotFound."""
        key = check_name(name)
        number = None if version is None else check_integer("version", version, minimum=1)
        return await self._unit.run(
            lambda tx: reading.read(tx, self._world_id, key, number), repeatable=True, single_statement=True
        )

    async def list(self, *, after: str | None = None, limit: int = 50) -> Page[ScriptHead]:
        """Return a page of the world's scripts, by name."""
        last = None if after is None else check_text("after", after)
        most = check_limit(limit)
        return await self._unit.run(
            lambda tx: reading.read_heads(tx, self._world_id, last, most), repeatable=True, single_statement=True
        )

    async def versions(self, name: str, *, after: str | None = None, limit: int = 50) -> Page[ScriptUsage]:
        """Return a page of the versions of a script with who runs them now and since when, the newest version first.

        Empty when there is no such script. A process that was not heard of for the script lease counts no more.
        """
        key, most = check_name(name), check_limit(limit)
        before = MAX_INTEGER if after is None else number_cursor(after)
        return await self._unit.run(
            lambda tx: reading.read_usage(tx, self._world_id, key, before, most),
            repeatable=True,
            single_statement=True,
        )


def _check_script(script: object, field: str) -> CheckedScript:
    if not isinstance(script, CheckedScript):
        raise InvalidType(field, "must have been checked: world.scripts.check(name, body)")
    return script


def _optional(number: object, field: str = "expected_version") -> int | None:
    return None if number is None else check_integer(field, number)
