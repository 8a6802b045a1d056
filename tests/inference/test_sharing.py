from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from i2i import Translator
from i2i.cli import main
from i2i.errors import UsageError
from i2i.inference.sharing import push_to_hub, save_pretrained
from i2i.model_file import load_model
from i2i.pretrained import model_file, pretrained
from support.hub import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub with newer httpx
LITE = pretrained()["map2sat-lite"].file
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def test_a_saved_folder_holds_the_same_file_and_a_card(tmp_path: Path) -> None:
    translator = Translator.load("map2sat-lite")
    file = translator.save_pretrained(tmp_path / "maps")
    assert file.read_bytes() == LITE.read_bytes()
    card = (tmp_path / "maps" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name:")
    assert "# map to sat" in card
    assert 'Translator.from_pretrained("USER/NAME")' in card
    np.testing.assert_array_equal(Translator.from_pretrained(tmp_path / "maps")(IMAGE), translator(IMAGE))


def test_a_card_that_was_written_by_hand_is_kept(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "README.md").write_text("mine")
    save_pretrained("map2sat-lite", tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    hub.commit("me/maps", "main", {"README.md": b"mine"})
    push_to_hub("map2sat-lite", "me/maps")
    assert hub.files["me/maps", "main"] == {"README.md": b"mine", "model.safetensors": LITE.read_bytes()}


def test_a_card_that_was_made_here_is_made_again(tmp_path: Path, hub: Hub) -> None:
    save_pretrained("map2sat-lite", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    save_pretrained("sketch2flower-lite", tmp_path)
    assert "drawing to photo" in (tmp_path / "README.md").read_text()
    push_to_hub("map2sat-lite", "me/maps")
    push_to_hub("sketch2flower-lite", "me/maps")
    assert b"drawing to photo" in hub.files["me/maps", "main"]["README.md"]


def test_another_model_is_not_overwritten(tmp_path: Path) -> None:
    save_pretrained("map2sat-lite", tmp_path)
    with pytest.raises(UsageError, match="there is another model"):
        save_pretrained("sketch2flower-lite", tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == LITE.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["me/public", "--private"], "me/public is public; make it private"),
        (["solo"], "expected hf://USER/NAME"),
        (["me/maps", "--revision", "feature/x"], "--revision feature/x: give a name without a slash"),
    ],
)
def test_what_cannot_be_pushed_is_refused(
    words: list[str], message: str, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.commit("me/public", "main", {})
    assert main(["push", "map2sat-lite", *words]) == 2
    assert message in capsys.readouterr().err
    assert hub.files["me/public", "main"] == {}
    assert {name for name, _ in hub.files} == {"me/public"}


def test_a_push_without_a_network_is_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert main(["push", "map2sat-lite", "me/maps"]) == 2
    assert "i2i: me/maps: " in capsys.readouterr().err


def test_what_is_pushed_can_be_loaded_by_its_name(hub: Hub) -> None:
    translator = Translator.load("map2sat-lite")
    address = translator.push_to_hub("me/maps", licence="mit", private=True)
    assert address == f"{hub.url}/me/maps/commit/{hub.oid('me/maps', 'main')}"
    assert hub.private == {"me/maps"}
    assert b'license: "mit"' in hub.files["me/maps", "main"]["README.md"]
    np.testing.assert_array_equal(Translator.from_pretrained("me/maps")(IMAGE), translator(IMAGE))


def test_the_command_pushes_a_run_to_a_branch(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_pretrained("map2sat-lite", tmp_path / "run")
    assert main(["push", str(tmp_path / "run"), "me/maps", "--revision", "trial"]) == 0
    assert "--model hf://me/maps@trial" in capsys.readouterr().out
    assert hub.files["me/maps", "main"] == {}
    assert hub.files["me/maps", "trial"]["model.safetensors"] == LITE.read_bytes()


def test_a_push_without_a_token_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UsageError, match=r"me/maps: .*401"):
        push_to_hub("map2sat-lite", "me/maps")
    assert ("me/maps", "main") not in hub.files


def test_an_upload_that_fails_is_one_line(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.refuse_uploads = True
    assert main(["push", "map2sat-lite", "me/maps"]) == 2
    assert "i2i: me/maps: Error while uploading 'model.safetensors' to the Hub." in capsys.readouterr().err
    assert hub.files["me/maps", "main"] == {}


def test_a_file_that_has_changed_since_it_was_loaded_is_not_shared(tmp_path: Path) -> None:
    file = save_pretrained("map2sat-lite", tmp_path)
    translator = Translator.load(file)
    file.write_bytes(pretrained()["sketch2flower-lite"].file.read_bytes())
    with pytest.raises(UsageError, match="has changed since it was loaded"):
        translator.save_pretrained(tmp_path / "other")
    with pytest.raises(UsageError, match="was not loaded from a model file"):
        Translator.from_model(load_model(LITE)).save_pretrained(tmp_path / "other")


def test_only_model_files_are_shared(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "latest_net_G.pth")
    with pytest.raises(UsageError, match="i2i import"):
        save_pretrained(tmp_path / "latest_net_G.pth", tmp_path / "out")
    (tmp_path / "map2sat.onnx").write_bytes(b"")
    with pytest.raises(UsageError, match="an exported file"):
        save_pretrained(tmp_path / "map2sat.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(pretrained()))
def test_every_pretrained_model_has_a_card_that_the_hub_reads(name: str, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    save_pretrained(name, tmp_path)
    assert model_file(tmp_path).stat().st_size == pretrained()[name].file.stat().st_size
    _, metadata, text = (tmp_path / "README.md").read_text().split("---\n", 2)
    read = yaml.safe_load(metadata)
    assert read["library_name"] == "i2i-toolkit"
    assert read["pipeline_tag"] == ("unconditional-image-generation" if name == "flowers" else "image-to-image")
    method = "encoder" if name == "flowers" else "distill" if name.endswith("-lite") else "pix2pix"
    assert read["tags"] == ["i2i", method, "gan"]
    assert "Sampler.load" in text if name == "flowers" else "Translator.from_pretrained" in text
