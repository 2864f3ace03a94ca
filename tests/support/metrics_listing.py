"""The pages that tell a user of Prometheus and Grafana what is exported, and what a scraper was given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from livingworld.observability.instruments import ALL, Kind
from livingworld.observability.prometheus import prometheus_name
from site_generator.reference import filled

_DOCS: Final = Path(__file__).parents[2] / "docs"
#: A row of the reference: the name for Prometheus, the kind, and the attributes.
_ROW: Final = re.compile(r"^\| `[\w.]+` \| `(\w+)` \| (\w+) \| [^|]+ \| ([^|]*) \|", re.MULTILINE)
#: A panel: what it shows, and its query.
_PANEL: Final = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| ", re.MULTILINE)
#: Constant for all series of a client, and the bound of a bucket.
_OF_ALL: Final = {"db_system_name", "gen_ai_provider_name", "le"}
GUIDE: Final = (_DOCS / "guides/metrics.md").read_text()
#: What the reference lists, by the name for Prometheus: the kind, and the attributes.
LISTED: Final = {
    name.removesuffix("_total"): (kind, {each.replace(".", "_") for each in re.findall(r"`([\w.]+)`", attributes)})
    for name, kind, attributes in _ROW.findall(filled((_DOCS / "reference/metrics.md").read_text()))
}


def families_of(page: str) -> dict[str, Metric]:
    """Return what a scraper reads from a page, by name."""
    return {family.name: family for family in text_string_to_metric_families(page)}


def refuse_unlisted(families: dict[str, Metric]) -> None:
    """Fail for a metric that the reference does not have so."""
    for name, family in families.items():
        kind, attributes = LISTED[name]
        assert family.type == kind
        assert {label for each in family.samples for label in each.labels} - _OF_ALL <= attributes


def names_in(text: str) -> set[str]:
    """Return what a text names as a metric."""
    return set(re.findall(r"\b(?:livingworld|db_client|gen_ai)_\w+", text)) - labels()


def labels() -> set[str]:
    """Return every label, as Prometheus has it."""
    return {attribute.replace(".", "_") for each in ALL for attribute in each.attributes}


def exported_names() -> set[str]:
    """Return every name that a query may use."""
    histograms = {prometheus_name(each) for each in ALL if each.kind is Kind.HISTOGRAM}
    others = {prometheus_name(each) for each in ALL if each.kind is not Kind.HISTOGRAM}
    return others | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def panels() -> dict[str, set[str]]:
    """Return the metrics that each panel of the guide reads."""
    return {panel: names_in(query) for panel, query in _PANEL.findall(GUIDE)}
