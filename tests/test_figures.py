"""The drawings of the documentation are those of the code, and the figure of imports shows the imports."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import diagrams
from boxes import HEIGHT, WIDTH
from support.documents import DOCS, PAGES, ROOT

PACKAGE = ROOT / "i2i"


def imports_of(package: str) -> set[str]:
    """The packages that a package imports, from within functions too."""
    found = set()
    for file in (PACKAGE / package).rglob("*.py"):
        found |= set(re.findall(r"^\s*(?:from|import) i2i\.(\w+)", file.read_text(), re.MULTILINE))
    return found - {package}


@pytest.mark.parametrize("name", diagrams.DRAWINGS)
def test_a_drawing_is_what_the_code_draws(name: str) -> None:
    drawn = diagrams.DRAWINGS[name]()
    assert drawn == (DOCS / "figures" / f"{name}.svg").read_text(), "run: python docs/make_figures.py"
    ElementTree.fromstring(drawn)


def test_boxes_of_a_drawing_do_not_overlap() -> None:
    for draw in diagrams.DRAWINGS.values():
        boxes = re.findall(rf'<rect x="(\S+)" y="(\S+)" width="{WIDTH}" height="{HEIGHT}"', draw())
        places = [tuple(map(float, box)) for box in boxes]
        for index, (x, y) in enumerate(places):
            for other_x, other_y in places[:index]:
                assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT, draw.__name__


def test_all_figures_are_shown() -> None:
    text = "".join(page.read_text() for page in PAGES) + (ROOT / "mkdocs.yml").read_text()
    for figure in (DOCS / "figures").iterdir():
        assert f"figures/{figure.name}" in text


def test_figure_shows_the_imports_between_packages() -> None:
    arrows = {(a, b) for a, (_, others) in diagrams.PACKAGES.items() for b in others}
    packages = {package for arrow in arrows for package in arrow}
    assert packages == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

    def reached(package: str) -> set[str]:
        following = {b for a, b in arrows if a == package}
        return following.union(*map(reached, following))

    for package in packages:
        following = {b for a, b in arrows if a == package}
        assert following <= imports_of(package)
        assert imports_of(package) & packages <= reached(package)
        for other in following:  # no arrow that follows from others
            assert not any(other in reached(between) for between in following - {other}), (package, other)
