"""The reference of the calls of a world, room by room."""

from __future__ import annotations

from typing import Any

from livingworld import LivingWorld, TransactionScope, World
from site_generator.prose import prose
from site_generator.signatures import signature
from site_generator.surface import Surface, calls


def room_reference(surface: Surface, name: str) -> str:
    """Return the section of one room: what it is, and each call with its promise."""
    door = "world" if name in surface.world else "livingworld"
    room = surface.world[name] if door == "world" else surface.livingworld[name]
    outside = dict(calls(room))
    inside = dict(calls(surface.tx[name])) if name in surface.tx else {}
    return "\n\n".join(
        [
            f"## {door}.{name}",
            prose(type(room)),
            *(_call(f"{door}.{name}.{call}", each, is_on_tx=call in inside) for call, each in outside.items()),
            *(_call(f"tx.{name}.{call}", each, is_on_tx=True) for call, each in inside.items() if call not in outside),
        ]
    )


def scope_reference(name: str) -> str:
    """Return the section of what stands on `livingworld`, `world` or `tx` itself."""
    scope = {"LivingWorld": LivingWorld, "world": World, "tx": TransactionScope}[name]
    own = [_call(f"{name}.{call}", function, is_on_tx=False) for call, function in calls(scope)]
    return "\n\n".join([f"## {name}", prose(scope), *own])


def _call(path: str, function: Any, *, is_on_tx: bool) -> str:  # noqa: ANN401 - a function or a property
    text = [f"### {path}", f"```python\n{signature(path, function)}\n```", prose(function)]
    if path.startswith("world.") and path.count(".") > 1:
        inside = path.replace("world.", "tx.", 1)
        text += [f"In a transaction: `{inside}`." if is_on_tx else "Not in a transaction."]
    return "\n\n".join(text)
