"""Fill a page's Jinja template, with the style and the script that all pages share."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

COLOURS = 10  # of curves, in page.css
_HERE = Path(__file__).parent
_CENTURY = 3.2e9  # in seconds


def render(template: str, context: Mapping[str, Any]) -> bytes:
    """A page as UTF-8; what that can't hold, such as half of a surrogate pair, becomes a question mark."""
    script = (_HERE / "page.js").read_text("utf-8")
    shared = {
        "style": Markup((_HERE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        # The browser runs no other script, whatever strings of a run may hold.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return _environment().get_template(template).render(shared | dict(context)).encode("utf-8", "replace")


def duration(seconds: float) -> str:
    """A human-readable duration: `29 s`, `1 h 30 min`, `1 d 1 h`."""
    minutes = round(min(seconds, _CENTURY) / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, days = minutes // 60, minutes // (24 * 60)
    return f"{days:,} d {hours % 24} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = duration
    environment.globals["COLOURS"] = COLOURS
    # Not sorted: the order of a chart's curves is that of the legend.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment
