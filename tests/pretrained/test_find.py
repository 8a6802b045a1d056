from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.files import sha256_of
from i2i.pretrained import model_file, pretrained


def test_a_run_has_a_last_and_perhaps_a_best_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no model.safetensors in this folder; give a run's folder"):
        model_file(tmp_path)
    with pytest.raises(UsageError, match=r"there is no best.safetensors in this folder; give a run's folder"):
        model_file(tmp_path, which="best")
    last, best = tmp_path / "model.safetensors", tmp_path / "best.safetensors"
    last.write_bytes(b"last")
    assert model_file(tmp_path) == model_file(str(tmp_path), which="last") == last
    with pytest.raises(UsageError, match=r"no best.safetensors in this run, which has only its last model"):
        model_file(tmp_path, which="best")
    best.write_bytes(b"best")
    assert (model_file(tmp_path), model_file(tmp_path, which="best")) == (last, best)


@pytest.mark.parametrize("given", ["file", "name"])
def test_only_a_run_has_a_best_model(given: str, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    model = str(file) if given == "file" else next(iter(pretrained()))
    with pytest.raises(UsageError, match=f"{Path(model).name}: the best model can be chosen"):
        model_file(model, which="best")


def test_the_sum_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
