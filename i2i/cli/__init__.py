"""The command line: `i2i COMMAND ...`, a module for each command."""

from i2i.cli.main import main

__all__ = ["main"]
