"""Pieces of HTML that the sections of the page share; what is text is escaped here or where it is put in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from html import escape

_CENTURY = 3.2e9  # in seconds


def section(key: str, title: str, body: str) -> str:
    """A titled section; `body` is HTML."""
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(title)}</h2>{body}</section>'
    )


def listed(key: str, title: str, facts: Iterable[tuple[str, object]]) -> str:
    """A section of facts, those left out that aren't known."""
    rows = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(str(v))}</dd></div>" for n, v in facts if v not in (None, ""))
    return section(key, title, f'<dl class="facts">{rows}</dl>') if rows else ""


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes = round(min(seconds, _CENTURY) / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, days = minutes // 60, minutes // (24 * 60)
    return f"{days:,} d {hours % 24} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def moment(seconds: float) -> str:
    """A moment in seconds since 1970, which the page's script tells in the reader's own time."""
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M} UTC</time>'
