"""The error of a demo that could not remove its world; apart from the demo, whose imports no other command needs."""

from __future__ import annotations

from livingworld.errors import LivingWorldError


class WorldStays(LivingWorldError):  # noqa: N818 - named for what happened, as all of them
    """The world was to be removed and is still there."""
