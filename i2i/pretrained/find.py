"""The file that a model argument means."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from i2i.errors import UsageError, setting, unknown
from i2i.pretrained.hub import SCHEME, HubFile, fetch, file_of_uri, verify
from i2i.pretrained.index import pretrained


def model_file(model: str | Path, *, which: Literal["last", "best"] = "last") -> Path:
    """The file of a model: a path of one, a run's folder, the name of a pretrained one, or one of the Hugging Face Hub.

    Args:
        model: the path, the name, or `hf://USER/NAME[@REVISION][/FILE]`, which is downloaded if necessary.
        which: for the folder of a run, its last model or the best model in validation.

    Raises:
        UsageError: it is none of these, the best model is requested for something other than a run's folder, a
            pretrained file is missing or differs from the published one, or it can't be downloaded.
    """
    path = Path(model)
    if path.is_dir():
        return _of_run(path, which)
    if which == "best":
        raise UsageError(f"{model}: the best model can be chosen in the folder of a run only")
    if str(model).startswith(SCHEME):
        return file_of_uri(str(model))
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        hint = f"; or one of the Hugging Face Hub: {SCHEME}{model}" if len(path.parts) == 2 and not path.suffix else ""
        raise UsageError(f"{path}: there is no such model file{hint}")
    if str(model) not in pretrained():
        raise unknown("model", str(model), pretrained())
    return pretrained()[str(model)].available()


def hub_file(
    model: str | Path,
    *,
    revision: str | None = None,
    sha256: str | None = None,
    token: str | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
) -> Path:
    """The file of a model of the Hugging Face Hub, `USER/NAME`; see `i2i.pretrained.hub.fetch`.

    What isn't of the Hub is found as `model_file` does, and has neither a revision nor a cache.

    Raises:
        UsageError: there is no such model, it can't be downloaded, or its sum differs.
    """
    text = str(model)
    if text.startswith(SCHEME):
        wanted = HubFile.parse(text)
        wanted = wanted if revision is None else wanted._replace(revision=revision)
    elif Path(model).exists() or text in pretrained():
        file = model_file(model)
        if revision is not None:
            raise UsageError(f"{model} is not a repository of the Hub; leave out {setting('revision')}")
        verify(file, sha256)
        return file
    else:
        wanted = HubFile.parse(f"{SCHEME}{text}")._replace(revision=revision)
    return fetch(wanted, sha256=sha256, token=token, cache=cache, offline=offline)


def _of_run(folder: Path, which: Literal["last", "best"]) -> Path:
    file = folder / ("best.safetensors" if which == "best" else "model.safetensors")
    if file.is_file():
        return file
    if which == "best" and (folder / "model.safetensors").is_file():
        raise UsageError(f"{folder}: no best.safetensors in this run, which has only its last model")
    raise UsageError(f"{folder}: there is no {file.name} in this folder; give a run's folder or a model file")
