"""The folder that a script draws into."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path


def make_folder(parser: ArgumentParser, folder: Path, *, empty: bool = True) -> None:
    """Make a folder for what is drawn; end with the parser's error where that can't be, or it should be empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{folder}: cannot make this folder: {error.strerror}")
    if empty and any(folder.iterdir()):
        parser.error(f"{folder}: expected an empty folder or a new one; name another, or empty it")
