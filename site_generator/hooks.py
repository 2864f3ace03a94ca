"""What mkdocs calls while it builds the site."""

from __future__ import annotations

from typing import Any

from site_generator.reference import filled


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - mkdocs hands over the page and the site
    """Fill in the generated parts of a page."""
    return filled(markdown)
