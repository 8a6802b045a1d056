"""A report as text, for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from i2i.data.check.findings import FileGroup, Finding, counted
from i2i.data.check.report import Report
from i2i.data.layout import Layout
from i2i.errors import in_flags

_WIDTH = 100
_SHOWN = 5  # files of a finding


def as_text(report: Report) -> str:
    """Write a report as text for a terminal, with settings as the command line spells them.

    Lines are longer than 100 columns only where file names are. Control characters in names are escaped.
    """
    findings = [line for finding in report.findings for line in ["", *_finding(finding, report.paths)]]
    counts = Counter(finding.severity for finding in report.findings)
    end = ", ".join(counted(count, severity) for severity, count in counts.items()) or "nothing wrong"
    return "\n".join(map(_printable, [*_head(report), *findings, "", end]))


def _head(report: Report) -> Iterator[str]:
    yield from _fold(_direction(report.layout))
    for name, domains in report.splits().items():
        if name == "train" and not report.layout.train.b:
            continue
        if report.data == "paired":
            parts = [counted(domains[0]["count"], "pair"), *(f"{d['domain']} {_span(d)}" for d in domains)]
        else:
            parts = [f"{d['domain']} {counted(d['count'], 'image')} {_span(d)}" for d in domains]
        yield from _labelled(name.replace("_", " "), ", ".join(parts))
    data, (usual, *others) = " ".join(map(str, report.paths)), report.methods
    labels = " --labels" if report.layout.classes else ""
    alternatives = f" (or {', '.join(others)})" if others else ""
    if report.layout.train.b:
        yield from _labelled("train with", f"i2i train {usual} {data}{labels}{alternatives}")
    elif report.data != "single":
        yield from _labelled("score with", f"i2i evaluate MODEL {data}")
    if report.left_out:
        yield from _labelled("left out", ", ".join(f"{count} {kind}" for kind, count in report.left_out.items()))


def _direction(layout: Layout) -> str:
    return layout.description if layout.matched == "single" else f"{' -> '.join(layout.domains)}: {layout.description}"


def _labelled(label: str, text: str) -> list[str]:
    return _fold(text, f"  {label:11}", " " * 13)


def _span(sizes: dict[str, Any]) -> str:
    if not sizes["count"]:
        return ""
    smallest, median, largest = (f"{w} x {h}" for w, h in (sizes[at] for at in ("smallest", "median", "largest")))
    return smallest if smallest == largest else f"{smallest} to {largest} (median {median})"


def _finding(finding: Finding, paths: tuple[Path, ...]) -> Iterator[str]:
    yield from _fold(in_flags(finding.message), f"{finding.severity:9}", " " * 9)
    for group in finding.files[:_SHOWN]:
        yield f"           {_files(group, paths)}"
    if len(finding.files) > _SHOWN:
        yield f"           and {len(finding.files) - _SHOWN} more"
    yield from _fold(in_flags(finding.advice), "      -> ", " " * 9)


def _files(group: FileGroup, paths: tuple[Path, ...]) -> str:
    shown = [str(path.relative_to(paths[0]) if len(paths) == 1 else path) for path in group.paths[:4]]
    more = len(group.paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") + (f": {group.detail}" if group.detail else "")


def _fold(text: str, first: str = "", others: str = "") -> list[str]:
    """Lines of a text, indented; paths stay whole."""
    return textwrap.wrap(
        _printable(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """Escape what isn't printable: file names may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
