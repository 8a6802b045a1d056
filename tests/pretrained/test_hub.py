from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i import Translator, translate
from i2i.cli import main
from i2i.errors import UsageError
from i2i.files import sha256_of
from i2i.pretrained import hub_file, model_file, pretrained
from i2i.pretrained.hub import HubFile, file_of_uri, verify
from support.hub import Hub

LITE = pretrained()["map2sat-lite"].file


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://me/maps", HubFile("me/maps", None, "model.safetensors")),
        ("hf://me/maps@v1.0", HubFile("me/maps", "v1.0", "model.safetensors")),
        ("hf://me/maps/sub/other.safetensors", HubFile("me/maps", None, "sub/other.safetensors")),
        ("hf://me/maps@0123abc/other.onnx", HubFile("me/maps", "0123abc", "other.onnx")),
    ],
)
def test_an_address_names_repository_revision_and_file(uri: str, expected: HubFile) -> None:
    assert HubFile.parse(uri) == expected


@pytest.mark.parametrize("uri", ["hf://", "hf://maps", "hf://me/maps@", "hf://me/ma ps", "hf:///me/maps"])
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="expected hf://USER/NAME"):
        model_file(uri)


def test_a_model_of_the_hub_translates_as_the_same_file_does(hub: Hub) -> None:
    hub.commit("me/maps", "main", {"model.safetensors": LITE.read_bytes()})
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    expected = translate(image, LITE)
    np.testing.assert_array_equal(Translator.from_pretrained("me/maps")(image), expected)
    asked = len(hub.requests)
    np.testing.assert_array_equal(translate(image, "hf://me/maps"), expected)
    np.testing.assert_array_equal(translate(image, "hf://me/maps"), expected)  # looked up once
    assert [request[0] for request in hub.requests[asked:]] == ["HEAD"]


def test_a_revision_pins_what_is_loaded(hub: Hub) -> None:
    first = hub.commit("me/maps", "main", {"model.safetensors": b"first"})
    hub.commit("me/maps", "main", {"model.safetensors": b"second"})
    assert hub_file("me/maps").read_bytes() == b"second"
    assert hub_file("me/maps", revision=first).read_bytes() == b"first"
    assert hub_file(f"hf://me/maps@{first}").read_bytes() == b"first"


def test_the_cache_serves_without_a_server(hub: Hub) -> None:
    hub.commit("me/maps", "main", {"model.safetensors": b"weights"})
    with pytest.raises(UsageError, match=r"model.safetensors is not in the cache"):
        hub_file("me/maps", offline=True)
    file, asked = hub_file("me/maps"), len(hub.requests)
    assert hub_file("me/maps", offline=True) == file
    assert len(hub.requests) == asked


def test_a_file_in_the_cache_that_was_changed_is_refused(hub: Hub) -> None:
    hub.commit("me/maps", "main", {"model.safetensors": b"weights"})
    file = hub_file("me/maps")
    file.resolve().write_bytes(b"changed")
    verify.cache_clear()
    with pytest.raises(
        UsageError, match=rf"SHA-256 differs\); to download it again, remove .*/blobs/{'[0-9a-f]' * 64}"
    ):
        hub_file("me/maps")


def test_a_blob_that_is_a_link_into_a_shared_store_is_accepted(hub: Hub, tmp_path: Path) -> None:
    """As huggingface_hub keeps what it fetches by Xet: the name in the store is another sum."""
    hub.commit("me/maps", "main", {"model.safetensors": b"weights"})
    blob = hub_file("me/maps").resolve()
    blob.rename(tmp_path / ("f" * 64))
    blob.symlink_to(tmp_path / ("f" * 64))
    verify.cache_clear()
    assert hub_file("me/maps").read_bytes() == b"weights"


def test_a_sum_that_differs_is_refused(hub: Hub) -> None:
    hub.commit("me/maps", "main", {"model.safetensors": b"weights"})
    with pytest.raises(UsageError, match="SHA-256 differs"):
        hub_file("me/maps", sha256="0" * 64)
    with pytest.raises(UsageError, match=r"SHA-256 differs\)$"):
        hub_file(LITE, sha256="0" * 64)
    assert hub_file(LITE, sha256=sha256_of(LITE).upper()) == LITE


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://me/nothing", "me/nothing: no such repository, or a private one; for that: hf auth login"),
        ("hf://me/maps@v9", "me/maps has no revision 'v9'"),
        ("hf://me/maps/other.onnx", "me/maps has no file other.onnx; name one: hf://me/maps/FILE"),
        ("me/maps", "me/maps: there is no such model file; or one of the Hugging Face Hub: hf://me/maps"),
    ],
)
def test_what_is_not_there_is_said(address: str, message: str, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.commit("me/maps", "main", {"model.safetensors": b"weights"})
    assert main(["info", address]) == 2
    assert message in capsys.readouterr().err


def test_a_server_that_is_gone_is_reported(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # huggingface_hub waits before it tries again
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    url = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
    with pytest.raises(UsageError, match=r"not in the cache, and the server can't be reached"):
        file_of_uri("hf://me/elsewhere")


@pytest.mark.slow
def test_a_folder_is_translated_with_a_download_that_was_interrupted(hub: Hub, tmp_path: Path) -> None:
    """The command as users run it: the connection is lost near the end of the file, and it is completed from there."""
    content = model_file("map2sat").read_bytes()
    hub.commit("me/maps", "main", {"model.safetensors": content})
    hub.lose_after = 10_600_000
    (tmp_path / "maps").mkdir()
    Image.new("RGB", (64, 64), "white").save(tmp_path / "maps" / "1.png")
    words = ["translate", str(tmp_path / "maps"), str(tmp_path / "out"), "--model", "hf://me/maps"]
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-m", "i2i", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    downloads = [asked for method, _, asked in hub.requests if method == "GET"]
    assert downloads == ["", f"bytes={10 * 2**20}-"]
    with Image.open(tmp_path / "out" / "1.png") as image:
        np.testing.assert_array_equal(image, translate(Image.new("RGB", (64, 64), "white"), "map2sat"))
