"""A report in words, for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from i2i.cli.arguments import one_line
from i2i.data.check.findings import FileGroup, Finding, counted
from i2i.data.check.report import Report
from i2i.data.folders import Layout

_WIDE = 100
_SHOWN = 5  # of the files of a finding


def as_text(report: Report) -> str:
    """A report in words; lines are longer than 100 columns only where names of files are, and hold no control codes."""
    found = [line for finding in report.findings for line in ["", *_lines(finding, report.paths)]]
    counts = Counter(finding.severity for finding in report.findings)
    end = ", ".join(counted(count, severity) for severity, count in counts.items()) or "nothing wrong"
    return "\n".join(map(one_line, [*_head(report), *found, "", end]))


def _head(report: Report) -> Iterator[str]:
    yield from _fold(_direction(report.layout))
    for name, domains in report.splits().items():
        if name == "train" and not report.layout.train.b:
            continue
        if report.data == "paired":
            said = ", ".join([counted(domains[0]["count"], "pair"), *(f"{d['domain']} {_span(d)}" for d in domains)])
        else:
            said = ", ".join(f"{d['domain']} {counted(d['count'], 'image')} {_span(d)}" for d in domains)
        yield from _wrapped(name.replace("_", " "), said)
    data, (usual, *others) = " ".join(map(str, report.paths)), report.methods
    labels = " --labels" if report.layout.classes else ""
    also = f" (or {', '.join(others)})" if others else ""
    if report.layout.train.b:
        yield from _wrapped("train with", f"i2i train {usual} {data}{labels}{also}")
    elif report.data != "single":
        yield from _wrapped("score with", f"i2i evaluate MODEL {data}")
    if report.left_out:
        yield from _wrapped("left out", ", ".join(f"{count} {kind}" for kind, count in report.left_out.items()))


def _direction(layout: Layout) -> str:
    return layout.description if layout.matched == "single" else f"{' -> '.join(layout.domains)}: {layout.description}"


def _wrapped(name: str, said: str) -> list[str]:
    return _fold(said, f"  {name:11}", " " * 13)


def _span(sizes: dict[str, Any]) -> str:
    if not sizes["count"]:
        return ""
    smallest, median, largest = (f"{w} x {h}" for w, h in (sizes[at] for at in ("smallest", "median", "largest")))
    return smallest if smallest == largest else f"{smallest} to {largest} (median {median})"


def _lines(finding: Finding, paths: tuple[Path, ...]) -> Iterator[str]:
    mark = f"{finding.severity:9}"
    yield from _fold(finding.says, mark, " " * 9)
    for named in finding.files[:_SHOWN]:
        yield f"           {_words(named, paths)}"
    if len(finding.files) > _SHOWN:
        yield f"           and {len(finding.files) - _SHOWN} more"
    yield from _fold(finding.do, "      -> ", " " * 9)


def _words(named: FileGroup, paths: tuple[Path, ...]) -> str:
    shown = [str(path.relative_to(paths[0]) if len(paths) == 1 else path) for path in named.paths[:4]]
    more = len(named.paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") + (f": {named.detail}" if named.detail else "")


def _fold(text: str, first: str = "", others: str = "") -> list[str]:
    """Lines of a text, indented; paths stay whole."""
    return textwrap.wrap(
        one_line(text),
        _WIDE,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
