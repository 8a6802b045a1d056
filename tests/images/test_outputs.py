"""No output of a command lands on one of its inputs."""

import os
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.errors import UsageError
from i2i.images.outputs import refuse_inputs, refuse_inside
from support.images import put


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """An input in a folder to work in, and files that lead to it by other names."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "photos/1.png", "other.png")
    (tmp_path / "link.png").symlink_to("photos/1.png")
    (tmp_path / "linked").symlink_to("photos", target_is_directory=True)
    os.link("photos/1.png", "hard.png")
    return Path("photos/1.png")


@pytest.mark.parametrize(
    "output", ["photos/1.png", "{here}/photos/1.png", "linked/../photos/1.png", "link.png", "linked/1.png", "hard.png"]
)
def test_an_input_is_recognised_by_any_name(photo, output):
    path = Path(output.format(here=Path.cwd()))
    with pytest.raises(UsageError, match=r"--sheet would overwrite the input photos/1\.png.*; give another --sheet"):
        refuse_inputs([path], [Path("other.png"), photo], flag="--sheet")


def test_other_files_and_new_ones_may_be_written(photo):
    refuse_inputs([Path("other.png"), Path("photos/2.png"), Path("nowhere/1.png")], [photo, Path("gone.png")])


def test_inputs_are_not_looked_for_where_nothing_is_overwritten(photo):
    def inputs():
        raise AssertionError
        yield

    refuse_inputs([Path("new.png")], inputs())


@pytest.mark.parametrize("folder", ["photos", "photos/runs/1", "linked/run", "photos/../photos/run"])
def test_a_folder_inside_the_data_is_refused_with_one_outside(photo, folder):
    with pytest.raises(UsageError, match="lies in the data folder photos") as error:
        refuse_inside(Path(folder), ["other", "photos"], flag="--run")
    given = str(error.value).rpartition("--run ")[2]
    refuse_inside(Path(given), ["photos"], flag="--run")


def test_a_folder_beside_the_data_is_taken(photo):
    refuse_inside(Path("photos2"), ["photos"], flag="--run")
    refuse_inside(Path("runs/photos"), ["photos"], flag="--run")


def refused(capsys, *words):
    """What is said of a command that is refused."""
    assert main(list(map(str, words))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_no_report_is_written_over_an_image_or_a_run(run, pairs, tmp_path, capsys):
    image = pairs / "val/0.png"
    (tmp_path / "link.json").symlink_to(image)
    kept = {path: path.read_bytes() for path in (image, run / "config.json", run / "model.safetensors")}
    for path in (image, tmp_path / "link.json"):
        assert f"--json would overwrite the input {image}" in refused(capsys, "check", pairs, "--json", path)
    for path in kept:
        said = refused(capsys, "evaluate", run, pairs, "--json", path)
        assert f"--json would overwrite the input {path}; give another --json" in said
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_run_inside_its_data_set_is_refused(pairs, capsys, monkeypatch):
    said = refused(capsys, "train", "pix2pix", pairs, "--run", pairs / "run")
    assert f"--run {pairs / 'run'} lies in the data folder {pairs}" in said
    monkeypatch.chdir(pairs)
    assert "runs/pix2pix-boxes lies in the data folder ." in refused(capsys, "train", "pix2pix", ".")
    assert sorted(path.name for path in pairs.iterdir()) == ["train", "val"]
