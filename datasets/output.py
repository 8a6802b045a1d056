"""The parser of a script's arguments, and the folder that it writes to."""

from __future__ import annotations

from argparse import Action, ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path


def make_parser(description: str) -> ArgumentParser:
    """Make a parser whose help names the defaults."""
    return ArgumentParser(description=description, formatter_class=_Formatter)


def make_folder(parser: ArgumentParser, folder: Path, *, empty: bool = True) -> None:
    """Create the output folder, or end with the parser's error where that fails or an existing one isn't empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{folder}: can't create this folder: {error.strerror}")
    if empty and any(folder.iterdir()):
        parser.error(f"{folder}: expected an empty folder or a new one; give another, or empty it")


def find_images(parser: ArgumentParser, folder: Path) -> list[Path]:
    """Find the images of a folder and its sub-folders, or end with the parser's error where there are none."""
    from i2i.images.reading import images_in  # here, for the scripts that do without i2i

    paths = images_in(folder)
    if not paths:
        parser.error(f"{folder}: no images in this folder")
    return paths


class _Formatter(ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: Action) -> str | None:
        plain = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
        return super()._get_help_string(action) if plain else action.help
