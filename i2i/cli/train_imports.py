"""Modules that a run imports: a resumed run's own code runs only where the user says so."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i2i.errors import UsageError


def saved_settings(run: Path) -> dict[str, Any]:
    """What config.json of a run holds; nothing in it but the names of its modules has been checked.

    Raises:
        UsageError: there is no run, or its config.json can't be read.
    """
    path = run / "config.json"
    if run.is_file():
        raise UsageError(f"--run {run}: that is a file; give a folder")
    if not path.is_file():
        raise UsageError(f"{run}: no run to resume here; leave out --resume to start one")
    try:
        saved = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    plugins = saved.get("plugins", []) if isinstance(saved, dict) else None
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise UsageError(f"{path} does not hold the settings of a run")
    return dict(saved)


def import_modules_of(run: Path, requested: Sequence[str], *, trust: bool) -> tuple[str, ...]:
    """Import the modules that a run was trained with, but those `requested`, which are imported already.

    Args:
        run: folder of the run.
        requested: modules and files given by --import.
        trust: whether the run's own modules may be imported.

    Returns:
        The modules imported here.

    Raises:
        UsageError: the run has other modules and isn't trusted; nothing is imported then.
    """
    from i2i.plugins import load_plugins

    known = {_module_name(name) for name in requested}
    others = [name for name in saved_settings(run).get("plugins", []) if _module_name(name) not in known]
    if others and not trust:
        flags = shlex.join(word for name in others for word in ("--import", name))
        raise UsageError(
            f"{run} was trained with code of its own, which --resume would run: {', '.join(others)}; if you trust "
            f"it, add {flags}, or --trust-run"
        )
    load_plugins(others)
    return tuple(others)


def resolved(module: str) -> str:
    """A module's name, or the absolute path of its file, so that a run can be resumed from any folder."""
    return str(Path(module).resolve()) if module.endswith(".py") else module


def _module_name(plugin: str) -> str:
    """The last part of a module's name: my_method of ./my_method.py and of package.my_method."""
    return Path(plugin).stem if plugin.endswith(".py") else plugin.rpartition(".")[2]
