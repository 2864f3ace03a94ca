"""The reference of settings, events, live events, commands and decisions: one row for each."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from livingworld import LiveKind, Settings
from livingworld.cli.command_line import all_commands
from livingworld.observability import events, instruments
from livingworld.observability.prometheus import prometheus_name
from livingworld.postgres.transactions.lock_order import WORDS
from site_generator.field_comments import field_comments
from site_generator.prose import linked

_NOT_A_VARIABLE: Final = {"tls"}
_DECISIONS: Final = Path(__file__).parents[1] / "docs/decisions"


def setting_reference() -> str:
    """Return a row for each setting: its variable, its default and what it bounds or chooses."""
    comments = field_comments(Settings)
    rows = [
        f"| `{name}` | {_variable(name)} | {_default(field.default)} | {linked(comments[name])} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | variable | default | what it bounds or chooses |", "|---|---|---|---|", *rows])


def event_reference() -> str:
    """Return a row for each log event: its level, its fields and when it is logged."""
    rows = [
        f"| `{each.name}` | {logging.getLevelName(each.level).lower()} "
        f"| {', '.join(f'`{field}`' for field in sorted(each.fields))} | {each.meaning} |"
        for each in sorted(events.ALL, key=lambda each: each.name)
    ]
    return "\n".join(["| event | level | fields | when |", "|---|---|---|---|", *rows])


def metric_reference() -> str:
    """Return a row for each instrument: its names, its kind, its unit, its attributes and what it shows."""
    rows = [
        f"| `{each.name}` | `{prometheus_name(each)}` | {each.kind.value} | {each.unit} "
        f"| {', '.join(f'`{name}`' for name in each.attributes)} | {each.meaning} |"
        for each in sorted(instruments.ALL, key=lambda each: each.name)
    ]
    head = "| instrument | for Prometheus | kind | unit | attributes | what it shows |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def lock_order_reference() -> str:
    """Return a row for each kind of lock, in the order in which one transaction may wait for them."""
    rows = [
        f"| {kind.value} | `{kind.name.lower()}` | {words.thing} | {words.first} | {words.several} |"
        for kind, words in WORDS.items()
    ]
    return "\n".join(
        ["| | kind | what is locked | by itself it is locked by | several of them |", "|---|---|---|---|---|", *rows]
    )


def live_kind_reference() -> str:
    """Return a row for each kind of live event, with its details."""
    comments = field_comments(LiveKind)
    rows = [f"| `LiveKind.{each.name}` | `{each.value}` | {comments[each.name]} |" for each in LiveKind]
    return "\n".join(["| kind | text | when, and the details |", "|---|---|---|", *rows])


def command_reference() -> str:
    """Return a section for each command, with its arguments and options."""
    return "\n\n".join(_sections(get_command(all_commands()), "livingworld"))


def decision_reference() -> str:
    """Return a row for each dated page of decisions, the newest first."""
    pages = sorted(_DECISIONS.glob("2*.md"), reverse=True)
    rows = [f"| {page.name[:10]} | [{_title(page)}]({page.name}) |" for page in pages]
    return "\n".join(["| date | decision |", "|---|---|", *rows])


def _title(page: Path) -> str:
    first, *_ = page.read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# ").removeprefix(f"{page.name[:10]}: ")


def _sections(command: Any, path: str) -> list[str]:  # noqa: ANN401 - click's classes are typer's own business
    if hasattr(command, "commands"):
        return [text for name, each in command.commands.items() for text in _sections(each, f"{path} {name}")]
    rows = [f"| `{' '.join(each.opts)}` | {getattr(each, 'help', None) or ''} |" for each in command.params]
    table = "\n".join(["| argument or option | meaning |", "|---|---|", *rows]) if rows else ""
    return [f"## {path}\n\n{command.help or ''}\n\n{table}"]


def _variable(name: str) -> str:
    return "" if name in _NOT_A_VARIABLE else f"`LIVINGWORLD_{name.upper()}`"


def _default(default: object) -> str:
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}"
    return "" if default is None else str(default).lower()
