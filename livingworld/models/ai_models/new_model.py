"""What may be registered: checked before any SQL, and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from livingworld.errors import InvalidInput
from livingworld.inputs import check_integer, check_json_object, check_label

#: Names of settings, in small letters and without signs, that end like this hold what must not be read back.
_SECRET: Final = (
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "password",
    "passwd",
    "secret",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "authorization",
    "credentials",
)


def check_role(role: object) -> str:
    """Return a role unchanged if it can be one."""
    return check_label("role", role)


def check_new_model(
    role: object, provider: object, name: object, dimensions: object, settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the columns of a new model; raises InvalidInput, also for settings that look like secrets."""
    plain = check_json_object("settings", {} if settings is None else settings)
    _refuse_secrets("settings", plain)
    return {
        "role": check_role(role),
        "provider": check_label("provider", provider),
        "name": check_label("name", name),
        "dimensions": None if dimensions is None else check_integer("dimensions", dimensions, minimum=1),
        "settings": plain,
    }


def _refuse_secrets(field: str, value: object) -> None:
    if isinstance(value, list):
        for place, item in enumerate(value):
            _refuse_secrets(f"{field}[{place}]", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if "".join(filter(str.isalnum, key.lower())).endswith(_SECRET):
                raise InvalidInput(f"{field}.{key}", "looks like a secret, which does not belong into a database")
            _refuse_secrets(f"{field}.{key}", item)
