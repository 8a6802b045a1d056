"""The Python of guides that need a server, a cluster or a video runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.pretrained import pretrained
from support.documents import DOCS, runnable
from support.hub import Hub

LITE = pretrained()["map2sat-lite"].file


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "guide", "exec", dont_inherit=True), names)
    return names


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub with newer httpx
def test_the_guide_to_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    use, share = (block.code for block in runnable(DOCS / "hub.md"))
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.copy(LITE, tmp_path / "runs" / "mine" / "model.safetensors")
    run(share)
    assert {path.name for path in (tmp_path / "to_share").iterdir()} == {"model.safetensors", "README.md"}
    commit = hub.oid("USER/NAME", "main")
    use = re.sub(r'revision="\w+"', f'revision="{commit}"', use)
    names = run(use, image=Image.fromarray(np.zeros((32, 32, 3), np.uint8)))
    assert names["photo"].size == (32, 32)


def test_the_guide_to_many_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the engine of this process in place of Ray's, which takes long to start and has tests of its own."""
    monkeypatch.chdir(tmp_path)
    (block,) = runnable(DOCS / "many_machines.md")
    (tmp_path / "maps").mkdir()
    Image.new("RGB", (64, 64), "white").save(tmp_path / "maps" / "1.png")
    code = block.code.replace('on_ray("map2sat", {"backend": "fastest"}, workers=8)', "in_this_process(TRANSLATOR)")
    assert code != block.code
    from i2i import Translator
    from i2i.inference.chunks import in_this_process

    names = run(code, TRANSLATOR=Translator.load("map2sat"), in_this_process=in_this_process)
    assert len(names["result"].written) == 1
    assert Path("photos/1.png").is_file()


def test_the_guide_to_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("av")
    from support.videos import texture, write_video

    write_video(tmp_path / "in.mp4", [texture(64, 64, seed=seed) for seed in range(3)])
    (block,) = runnable(DOCS / "video.md")
    assert run(block.code)["result"].frames == 3
    assert (tmp_path / "out.mp4").stat().st_size > 0
