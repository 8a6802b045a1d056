"""What the site adds to the pages in docs/: files beside docs/, equations, notebooks, the help of the command line.

A page may link to any file of the repository, as it is found from that page: `../datasets/README.md`. On the site such
a file is a page too. Equations between dollar signs become MathML, which needs no script.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import latex2mathml.converter
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
OUTSIDE = "repository"  # where files that aren't in docs/ are found on the site
HELP = "<!-- help of all commands -->"
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash", ".json": "json", ".yml": "yaml"}
IMAGES = {".png", ".jpg", ".svg"}
_QUOTED = re.compile(r'^```python title="([^"]+)"\n(.*?)^```\n', re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_config(config: Any) -> None:
    """Register the equations."""
    config.markdown_extensions.append(Equations())


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file outside docs/ that a page links to, and for each notebook."""
    for notebook in sorted(Path(config.docs_dir).rglob("*.ipynb")):
        source = notebook.relative_to(config.docs_dir).as_posix()
        files.append(File.generated(config, source.replace(".ipynb", ".md"), content=notebook_page(notebook)))
    waiting = [file for file in files if file.is_documentation_page()]
    known = {file.src_uri for file in files}
    for file in waiting:
        for target in links_outside(with_sources(file.content_string, file.src_uri), folder_of(file.src_uri)):
            if (name := site_name(target)) not in known:
                known.add(name)
                files.append(found := outside_file(config, target, name))
                if target.suffix == ".md":
                    waiting.append(found)
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Lead links to files outside docs/ to their pages, and write the help of the commands."""
    if HELP in markdown:
        markdown = markdown.replace(HELP, help_of_all())
    here = page.file.src_uri
    markdown = with_sources(markdown, here)
    return _LINK.sub(lambda link: f"{link[1]}{site_link(link[2], here)}{link[3]}", markdown)


def with_sources(markdown: str, here: str) -> str:
    """Unindent quoted code, and add a link to its line."""

    def shown(block: re.Match[str]) -> str:
        path, code = block[1], block[2]
        line = (ROOT / path).read_text().partition(code)[0].count("\n") + 1
        link = os.path.relpath(ROOT / path, folder_of(here))
        source = f"[{path}, line {line}]({link}){{ .source data-line={line} }}"
        return f"```python\n{textwrap.dedent(code)}```\n\n{source}\n"

    return _QUOTED.sub(shown, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Lead links of quoted code to their lines, whose anchors MkDocs doesn't know."""

    def at_line(tag: re.Match[str]) -> str:
        line = re.search(r'data-line="(\d+)"', tag[0])
        return re.sub(r'href="([^"]+)"', rf'href="\1#__codelineno-0-{line[1]}"', tag[0]) if line else tag[0]

    return re.sub(r'<a [^>]*class="source"[^>]*>', at_line, html)


def folder_of(name: str) -> Path:
    """The folder of a page's source."""
    inside, _, path = name.partition("/")
    return (ROOT / path if inside == OUTSIDE else ROOT / "docs" / name).parent


def links_outside(markdown: str, folder: Path) -> Iterator[Path]:
    """The files outside docs/ that a page links to."""
    for _, link, _ in _LINK.findall(markdown):
        target = Path(os.path.normpath(folder / link))
        if target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "docs"):
            yield target


def site_name(target: Path) -> str:
    """The source name of a file of the repository on the site."""
    if target.is_relative_to(ROOT / "docs"):
        return target.relative_to(ROOT / "docs").as_posix()
    name = f"{OUTSIDE}/{target.relative_to(ROOT).as_posix()}"
    return name if target.suffix in {".md", *IMAGES} else f"{name}.md"


def site_link(link: str, here: str) -> str:
    """A link of a page, as the site has it."""
    target = Path(os.path.normpath(folder_of(here) / link))
    outside = here.startswith(f"{OUTSIDE}/") or not target.is_relative_to(ROOT / "docs")
    if not outside or not target.is_file() or not target.is_relative_to(ROOT):
        return link
    return os.path.relpath(site_name(target), Path(here).parent)


def outside_file(config: Any, target: Path, name: str) -> File:
    """A file outside docs/: a page, an image, or a page that shows code."""
    if target.suffix == ".md" or target.suffix in IMAGES:
        return File.generated(config, name, abs_src_path=str(target))
    path, language = target.relative_to(ROOT).as_posix(), LANGUAGES.get(target.suffix, "text")
    fence = "````"
    head = f"---\ntitle: {path}\nhide: [toc]\nsearch: {{exclude: true}}\n---\n\n# `{path}`\n\n"
    return File.generated(config, name, content=f'{head}{fence}{language} linenums="1"\n{target.read_text()}{fence}\n')


def notebook_page(notebook: Path) -> str:
    """The cells of a notebook as a page."""
    parts = []
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    title, *others = parts
    return "\n\n".join([title, f"[Download the notebook]({notebook.name}){{download}}", *others])


def help_of_all() -> str:
    """What `i2i COMMAND --help` prints, for all commands and methods."""
    from i2i.cli.commands import commands
    from i2i.methods import methods

    parts = []
    for name in commands():
        parts += [f"## i2i {name}", f"```text\n{help_of(name)}```"]
        if name == "train":
            for method in methods:
                parts += [f"### i2i train {method}", f"```text\n{help_of(name, method)}```"]
    return "\n\n".join(parts)


def help_of(*command: str) -> str:
    """What a command prints with --help, in lines of 100 characters."""
    from i2i.cli import main

    printed, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([*command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        os.environ.update({"COLUMNS": before} if before is not None else {})
    return printed.getvalue()


class Equations(Extension):
    """LaTeX between $ or $$ as MathML."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Register both, after code."""
        md.inlinePatterns.register(Equation(r"\$\$(.+?)\$\$", md, display="block"), "equation", 186)
        md.inlinePatterns.register(Equation(r"(?<![\\$\w])\$([^$\n]+?)\$(?!\w)", md, display="inline"), "formula", 185)


class Equation(InlineProcessor):
    """One equation."""

    def __init__(self, pattern: str, md: Markdown, *, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str | Element, int, int]:  # type: ignore[override] # noqa: ARG002, N802
        """The equation as MathML."""
        mathml = latex2mathml.converter.convert(m[1].strip(), display=self.display)
        mathml = mathml.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em"/>')
        mathml = re.sub(
            r"<mo>(&#x02016;|&#x0007C;)</mo>", r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', mathml
        )
        if "\\" in mathml:
            raise PluginError(f"unknown LaTeX in an equation: {m[1]}")
        return self.md.htmlStash.store(mathml), m.start(0), m.end(0)
