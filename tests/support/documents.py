"""The pages that users read: the READMEs and docs/, and their blocks of code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
READMES = [README, *(ROOT / folder / "README.md" for folder in ("datasets", "pretrained"))]
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
DOCUMENTS = [*READMES, *PAGES[1:]]


class Block(NamedTuple):
    """A fenced block of code."""

    page: Path
    info: str  # what follows its language, such as title="..."
    code: str


def name_of(page: Path) -> str:
    """A page's name in a test's id."""
    return page.relative_to(ROOT).as_posix()


def blocks(language: str, *pages: Path) -> list[Block]:
    """The blocks of a language on pages, in order."""
    pattern = re.compile(rf"^```{language}(?: ([^\n]*))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [Block(page, info, code) for page in pages for info, code in pattern.findall(page.read_text())]


def quoted(page: Path) -> list[tuple[str, str]]:
    """The blocks that quote a file, as its path and the code."""
    return [
        (title[1], block.code)
        for block in blocks("python", page)
        if (title := re.search(r'title="([^"]+)"', block.info))
    ]


def runnable(*pages: Path) -> list[Block]:
    """The blocks of Python that a reader can run: those that quote no file."""
    return [block for block in blocks("python", *pages) if not block.info]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
