"""Plug-ins: methods and backbones of other packages and files, found by entry points of group `i2i` or by name."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from i2i.errors import UsageError, setting


def discover(package: str) -> None:
    """Import every module of a package, so that each registers what it defines."""
    for module in submodules(package):
        importlib.import_module(module)


def submodules(package: str) -> list[str]:
    """The dotted names of a package's modules, none of which is imported."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, prefix=f"{package}.")
    return [module.name for module in found]


def load_plugins(modules: Iterable[str] = ()) -> None:
    """Import plug-ins: the installed entry points of group `i2i`, and `modules`.

    A module is a dotted name, searched in the current folder too, or the path of a .py file.

    Raises:
        UsageError: a module isn't found or has a syntax error.
    """
    for point in entry_points(group="i2i"):
        point.load()
    for module in modules:
        if module.endswith(".py"):
            _import_file(Path(module))
            continue
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        if module.startswith(".") or not module:
            raise UsageError(
                f"{setting('import', module)}: not a module name; give one, or a file such as ./my_plugin.py"
            )
        try:
            importlib.import_module(module)
        except SyntaxError as error:
            raise UsageError(f"{setting('import', module)}: {error}") from None
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise UsageError(
                f"{setting('import', module)}: no module of that name; give its file, such as ./{module}.py"
            ) from None


def _import_file(path: Path) -> None:
    if path.stem in sys.modules:
        if getattr(sys.modules[path.stem], "__file__", None) == str(path.resolve()):
            return
        raise UsageError(f"{setting('import', path)}: there already is a module {path.stem!r}; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{setting('import', path)}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[path.stem]
        if isinstance(error, SyntaxError):
            raise UsageError(f"{setting('import', path)}: {error}") from None
        raise
