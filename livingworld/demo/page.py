"""The printed result of the demo: the shared story as a tree, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from livingworld.demo.plan import Plan
from livingworld.demo.report import COUNTED_PROMISES, PROMISES, SEEN_PROMISES, Report
from livingworld.demo.story_tree import Node, draw, shorten

_MAX_TREE_LINES: Final = 60


def print_page(console: Console, plan: Plan, report: Report, nodes: Iterable[Node]) -> None:
    """Print the tree, the counts and the verdict; the text of the story is never parsed as markup."""
    console.print(Text(f"{plan.title}, written by {plan.writers} at once", style="bold"))
    for line in shorten(draw(nodes), _MAX_TREE_LINES):
        style = "dim" if "╴" in line[:40] else ""
        console.print(Text(line, style=style), no_wrap=True, overflow="ellipsis", crop=True)
    console.print(_counts(report))
    console.print(_verdict(report))


def _counts(report: Report) -> Table:
    table = Table(
        title="Counted by SQL in the tables, then as the players saw it", title_justify="left", show_header=False
    )
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify)
    table.add_row("scenes written", str(report.scenes_written))
    for name, meaning in COUNTED_PROMISES.items():
        table.add_row(meaning, *_found(report, name))
    table.add_section()
    for name, meaning in SEEN_PROMISES.items():
        table.add_row(meaning, *_found(report, name))
    table.add_row("conflicts refused and tried again", str(report.conflicts_refused))
    table.add_row("double clicks, undos, forks", f"{report.double_clicks}, {report.undos}, {report.forks}")
    table.add_row("scenes per second", f"{report.scenes_per_second:,.0f}")
    table.add_row("half of the turns within", f"{report.p50_ms:.1f} ms")
    table.add_row("99 of 100 turns within", f"{report.p99_ms:.1f} ms")
    return table


def _found(report: Report, name: str) -> tuple[str, Text]:
    kept = name not in report.broken
    return str(getattr(report, name)), Text("kept", "green") if kept else Text("BROKEN", "bold red")


def _verdict(report: Report) -> Text:
    if not report.broken:
        return Text("Every promise was kept.", style="bold green")
    return Text(f"Broken: {', '.join(PROMISES[name] for name in report.broken)}.", style="bold red")
