"""The list of environment variables that begin with LIVINGWORLD_; any other one is refused as a spelling mistake."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from livingworld.errors import InvalidSettings

PREFIX: Final = "LIVINGWORLD_"

#: Variables that are not settings of a LivingWorld, and what reads them.
OTHER_VARIABLES: Final = {
    "LIVINGWORLD_CITUS_URL": "this repository's tests: a database that is distributed over a cluster",
    "LIVINGWORLD_DATABASE_PASSWORD": "docker/compose.yaml: the password of its database",
    "LIVINGWORLD_DATABASE_PORT": "docker/compose.yaml: the port of its database on this machine",
    "LIVINGWORLD_HOME": "where the embedded server keeps its data",
    "LIVINGWORLD_TEST_PARTITIONS": "livingworld[testing]: tests run on tables that are cut into so many by world",
    "LIVINGWORLD_TEST_PART": "this repository's tests: which part of many cases is tried",
    "LIVINGWORLD_TEST_SAMPLE": "this repository's tests: one case of so many of each file is run",
    "LIVINGWORLD_TEST_SHARE": "this repository's tests: which half of those of the server is run",
    "LIVINGWORLD_PG_BIN": "the programs of the embedded server",
    "LIVINGWORLD_PGBOUNCER": "this repository's tests: another PgBouncer than the system's",
    "LIVINGWORLD_SOAK_SECONDS": "this repository's tests: how long everything runs at once",
    "LIVINGWORLD_TEST_DSN": "livingworld[testing]: a server to run the tests on",
    "LIVINGWORLD_TEST_ROLE": "livingworld[testing]: `application` opens the worlds of tests as that role",
    "LIVINGWORLD_TEST_ROLE_IN": "this repository's tests: the folders whose tests are in that role",
}


class SetVariables(PydanticBaseSettingsSource):
    """The texts of the variables that are set.

    pydantic's own source asks at each load how each field is parsed, and that of files asks again: 2 ms for every open.
    No field of `Settings` is parsed before pydantic checks it.
    """

    def __call__(self) -> dict[str, Any]:
        """Return the text of each field that has a variable, in whatever case its name is written."""
        texts = {name.upper(): text for name, text in os.environ.items()}
        names = {field: f"{PREFIX}{field}".upper() for field in self.settings_cls.model_fields}
        return {field: texts[name] for field, name in names.items() if name in texts}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: pydantic asks no field of its own accord."""
        raise NotImplementedError


def refuse_unknown_variables(settings: Iterable[str]) -> None:
    """Raise InvalidSettings, naming a variable that nothing reads and the nearest known one."""
    known = {name.upper() for name in settings} | {name.removeprefix(PREFIX) for name in OTHER_VARIABLES}
    for name in sorted(os.environ):
        own = name.upper().removeprefix(PREFIX)
        if own != name.upper() and own not in known:
            nearest = difflib.get_close_matches(own, known, n=1)
            advice = (
                f"do you mean {PREFIX}{nearest[0]}?"
                if nearest
                else "unset it; docs/reference/settings.md has all names"
            )
            raise InvalidSettings(name, f"is no setting of livingworld: {advice}")
