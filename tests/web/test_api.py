"""The API of `i2i serve`: what it answers, what it refuses, and in which words."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from i2i import Translator
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.images.writing import encode
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
from i2i.web import Limits, Models, make_app
from i2i.web.models import Offered, offered_models
from i2i.web.worker import Translation, Worker
from support.images import noise
from support.images import png as png_chunks


def png(pixels: NDArray[np.uint8]) -> bytes:
    if pixels.shape[2] == 4:
        return encode(DecodedImage(pixels[:, :, :3], alpha=pixels[:, :, 3]), ".png")
    return encode(DecodedImage(pixels), ".png")


def serve(*models: Path | str, limits: Limits | None = None, **options: Any) -> TestClient:
    offered = offered_models([str(model) for model in models])
    return TestClient(make_app(Models(offered, device="cpu"), limits, **options), base_url="http://localhost")


@pytest.fixture
def client(run: Path, manifold: Path) -> Iterator[TestClient]:
    with serve(run, manifold) as client:
        yield client


@pytest.mark.parametrize("way", ["raw", "form"])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_translation_is_that_of_the_translator(client: TestClient, run: Path, way: str, alpha: bool) -> None:
    given = png(noise(33, 47, 4 if alpha else 3))
    body: dict[str, Any] = {"content": given} if way == "raw" else {"files": {"image": ("<b>.png", given)}}
    answer = client.post("/v1/translate", params={"model": run.name, "to": "photo"}, **body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    expected = Translator.load(run, device="cpu")(read(given))
    found = read(answer.content)
    assert np.array_equal(found.pixels, expected.pixels)
    assert (found.alpha is not None) == alpha
    assert float(answer.headers["server-timing"].removeprefix("translate;dur=")) > 0


def test_formats_and_tiles(client: TestClient, run: Path) -> None:
    given = png(noise(96, 128, 3))
    for suffix, head in (("jpg", b"\xff\xd8"), ("webp", b"RIFF"), ("png", b"\x89PNG")):
        answer = client.post("/v1/translate", params={"model": run.name, "format": suffix}, content=given)
        assert answer.content.startswith(head)
    tiled = client.post("/v1/translate", params={"model": run.name, "tile": 64}, content=given)
    difference = read(tiled.content).pixels.astype(int) - read(answer.content).pixels
    assert np.abs(difference).max() <= 1


REFUSED = {
    "an unknown model": ({"model": "bxoes"}, b"", 404, "unknown model 'bxoes'; did you mean 'boxes'?"),
    "no model": ({}, b"", 422, "model: Field required"),
    "no image": ({"model": "boxes"}, b"", 422, "these bytes: an empty file"),
    "text": ({"model": "boxes"}, b"hello", 422, "these bytes: not an image that can be read: text"),
    "a form without a file": ({"model": "boxes"}, {"data": {"a": "b"}, "files": {}}, 422, "these bytes: not an image"),
    "another domain": ({"model": "boxes", "to": "cat"}, png(noise(8, 8, 3)), 422, "cat"),
    "a seed": ({"model": "boxes", "seed": 1}, png(noise(8, 8, 3)), 422, "one output for an input; leave out seed"),
    "a tile of 0": ({"model": "boxes", "tile": 0}, b"", 422, "tile: Input should be greater than or equal to 64"),
    "another format": ({"model": "boxes", "format": "exe"}, b"", 422, "format: Input should be"),
    "an editing model": ({"model": "dots"}, png(noise(8, 8, 3)), 422, "dots edits images and translates none"),
    "too many pixels": ({"model": "boxes"}, png(np.zeros((1200, 1000, 3), np.uint8)), 422, "more than the"),
    "a path": ({"model": "../boxes"}, b"", 404, "unknown model '../boxes'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(run: Path, manifold: Path, case: str) -> None:
    params, body, status, words = REFUSED[case]
    with serve(run, manifold, limits=Limits(max_megapixels=1)) as client:
        sent = body if isinstance(body, dict) else {"content": body}
        answer = client.post("/v1/translate", params=params, **sent)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/edit"])
def test_bodies_that_are_too_large(run: Path, path: str) -> None:
    with serve(run, limits=Limits(max_megabytes=0.1)) as client:
        for body in (bytes(200_000), (bytes(1000) for _ in range(200))):  # announced, and not
            answer = client.post(path, params={"model": run.name}, content=body)
            assert (answer.status_code, answer.json()) == (413, {"error": "more than 0.1 MB; send a smaller image"})
        assert client.get("/healthz").json()["status"] == "ok"


def test_who_may_use_it(run: Path) -> None:
    with serve(run) as client:
        for headers, status in (
            ({"Host": "evil.example"}, 403),
            ({"Host": "127.0.0.1:8000"}, 200),
            ({"Host": "[::1]:8000"}, 200),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "http://localhost"}, 200),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://["}, 403),
            ({"Host": "[::1"}, 403),
        ):
            assert client.get("/v1/models", headers=headers).status_code == status, headers
    with serve(run, token="secret", hosts=None) as client:
        for path in ("/v1/models", "/metrics", "/openapi.json"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer secres"}).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
        for path in ("/", "/healthz", "/page/page.js"):
            assert client.get(path, headers={"Host": "any.example"}).status_code == 200


def test_a_site_behind_a_proxy_is_named(run: Path) -> None:
    with serve(run, hosts=("my.example",)) as client:
        for headers, status in (
            ({"Host": "my.example"}, 200),
            ({"Host": "my.example", "Origin": "https://my.example"}, 200),
            ({"Host": "127.0.0.1:8000", "Origin": "https://my.example"}, 200),  # of a proxy that passes on its own
            ({"Host": "other.example"}, 403),
            ({"Host": "my.example", "Origin": "https://other.example"}, 403),
        ):
            assert client.get("/v1/models", headers=headers).status_code == status, headers


def test_a_failure_is_answered_in_json_and_logged(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Translator, "batch", fail)
    with serve(run) as client:
        answer = client.post("/v1/translate", params={"model": run.name}, content=png(noise(8, 8, 3)))
    assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says why"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError: a bug" in caplog.text


def test_nothing_outside_the_page_and_the_models_is_read(client: TestClient) -> None:
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/v1/models/..%2f..%2fx/thumbnail"):
        assert client.get(path).status_code == 404
    assert "frame-ancestors 'none'" in client.get("/").headers["content-security-policy"]


def test_a_request_too_many_is_told_to_try_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    plain = Translator.batch

    def slow(self: Translator, *args: Any, **options: Any) -> Any:
        free.wait(10)
        return plain(self, *args, **options)

    monkeypatch.setattr(Translator, "batch", slow)
    given, params = png(noise(32, 32, 3)), {"model": run.name}
    with serve(run, limits=Limits(max_requests=2)) as client, ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(client.post, "/v1/translate", params=params, content=given) for _ in range(2)]
        until = time.monotonic() + 10
        while "i2i_requests_inside 3.0" not in client.get("/metrics").text and time.monotonic() < until:
            time.sleep(0.01)
        answer = client.post("/v1/translate", params=params, content=given)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        free.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert client.post("/v1/translate", params=params, content=given).status_code == 200


def test_a_request_that_takes_too_long(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(Translator, "batch", lambda *_, **__: [free.wait(10)])
    with serve(run, limits=Limits(timeout=0.2)) as client:
        answer = client.post("/v1/translate", params={"model": run.name}, content=png(noise(8, 8, 3)))
        free.set()
        assert (answer.status_code, answer.json()) == (504, {"error": "it took longer than this server allows"})


def test_tiles_that_nobody_waits_for_any_more_are_not_computed(run: Path) -> None:
    worker, image = Worker(), DecodedImage(noise(256, 256, 3))
    late = worker.submit(Translation(Translator.load(run, device="cpu"), image, tile=64, late=time.monotonic()))
    assert isinstance(late.exception(30), TimeoutError)
    worker.close()


def test_images_that_arrive_together_are_translated_together(run: Path) -> None:
    translator, sizes = Translator.load(run, device="cpu"), []
    plain = translator.backend.run
    translator.backend.run = lambda x, z=None: (sizes.append(len(x)), plain(x, z))[1]  # type: ignore[method-assign]
    worker, hold = Worker(), threading.Event()
    first = worker.submit(hold.wait)
    images = [DecodedImage(noise(size, 32, 3)) for size in (32, 48, 32, 32)]
    found = [worker.submit(Translation(translator, image)) for image in images]
    found[2].cancel()
    hold.set()
    results = [one.result() for one in (found[0], found[1], found[3])]
    worker.close()
    assert first.result() is True
    assert sorted(sizes) == [1, 2]
    for result, image in zip(results, [images[0], images[1], images[3]], strict=True):
        difference = result.pixels.astype(int) - translator(image).pixels
        assert np.abs(difference).max() <= 1


def test_one_image_that_fails_lets_the_others_through(run: Path) -> None:
    translator = Translator.load(run, device="cpu")
    bad, good = noise(32, 32, 3), noise(32, 32, 3)
    bad[:] = 7
    plain = translator.batch

    def batch(images: Any, **options: Any) -> Any:
        if any((image.pixels == 7).all() for image in images):
            raise ValueError("seven")
        return plain(images, **options)

    translator.batch = batch  # type: ignore[method-assign, assignment]
    worker, hold = Worker(), threading.Event()
    worker.submit(hold.wait)
    found = [worker.submit(Translation(translator, DecodedImage(pixels))) for pixels in (good, bad, good)]
    hold.set()
    assert isinstance(found[1].exception(), ValueError)
    assert found[0].result().pixels.shape == found[2].result().pixels.shape == (32, 32, 3)
    worker.close()


def test_a_photograph_is_edited(client: TestClient) -> None:
    photo = base64.b64encode(png(noise(40, 60, 3))).decode()
    stroke = {"brush": "colour", "points": [[0.5, 0.5]], "colour": [255, 0, 0], "width": 0.4}
    asked = {"model": "dots", "photo": photo, "strokes": [stroke], "morph": 3, "candidate": 1}
    first = client.post("/v1/edit", json=asked).json()
    assert first["image"] == first["candidates"][1]["image"] == first["morph"][-1]
    assert first["projection"] == first["morph"][0]
    assert pixels(first["transfer"]).shape == pixels(first["blend"]).shape == (40, 60, 3)
    assert pixels(first["image"]).shape == (16, 16, 3)
    again = client.post("/v1/edit", json=asked).json()
    assert {**again, "milliseconds": 0} == {**first, "milliseconds": 0}
    sample = client.post("/v1/edit", json={"model": "dots", "seed": 3}).json()
    assert sample["image"] == sample["projection"]
    assert (sample["candidates"], sample["morph"], sample["transfer"]) == ([], [], "")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"model": "boxes"}, 422, "boxes translates images"),
        ({"model": "dost"}, 404, "did you mean 'dots'?"),
        ({"model": "dots", "strokes": [{"brush": "spray"}]}, 422, "stroke 1 needs a brush"),
        ({"model": "dots", "photo": "???"}, 422, "photo isn't base64"),
        ({"model": "dots", "strokes": [{"brush": "sketch", "points": [[[0, 0], [0, 0]]]}]}, 422, "stroke 1: a stroke"),
        (
            {"model": "dots", "strokes": [{"brush": "warp", "start": [[0, 0]], "end": [0, 0]}]},
            422,
            "stroke 1: a stroke",
        ),
        ({"model": "dots", "strokes": [{"brush": "sketch", "points": [[0, 0]] * 10_001}]}, 422, "10000 at most"),
        ({"model": "dots", "photo": "é"}, 422, "photo isn't base64"),
        ({"model": "dots", "strokes": [{"brush": ["sketch"]}]}, 422, "stroke 1 needs a brush"),
        ({"model": "dots", "strokes": [{"brush": "sketch", "points": [[0, 1e300]]}]}, 422, "stroke 1: a stroke needs"),
        ({"model": "dots", "photo": base64.b64encode(b"hello").decode()}, 422, "not an image"),
        ({"model": "dots", "candidate": 99, "strokes": [{"brush": "sketch", "points": [[0, 0]]}]}, 422, "candidate 99"),
    ],
)
def test_edits_that_are_refused(client: TestClient, asked: dict[str, Any], status: int, words: str) -> None:
    answer = client.post("/v1/edit", json=asked)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_models_are_described(client: TestClient, run: Path) -> None:
    boxes, dots = client.get("/v1/models").json()["models"]
    assert boxes["directions"] == [{"source": "drawing", "target": "photo"}]
    assert (boxes["kind"], boxes["image_size"], boxes["samples"]) == ("translate", 32, False)
    assert (dots["kind"], dots["directions"], dots["name"]) == ("edit", [], "dots")
    assert client.get("/v1/models/boxes/thumbnail").status_code == 404


def test_pretrained_models_have_thumbnails_palettes_and_examples() -> None:
    with serve() as client:
        models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        assert models["map2sat"]["palette"]["water"].startswith("#")
        for name, model in models.items():
            assert client.get(f"/v1/models/{name}/thumbnail").content.startswith(b"\xff\xd8")
            for example in model["examples"]:
                assert read(client.get(example).content).pixels.shape[:2] == (256, 256)
        assert len(models["sketch2flower"]["examples"]) == 3


def test_a_folder_of_models(run: Path, manifold: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    (tmp_path / "two.safetensors").write_bytes(manifold.read_bytes())
    assert [model.name for model in offered_models([], tmp_path)] == ["one", "two"]
    (tmp_path / "one" / "best.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    assert [model.name for model in offered_models([], tmp_path / "one")] == ["one"]
    (tmp_path / "one.safetensors").write_bytes(manifold.read_bytes())
    with pytest.raises(ValueError, match="two models are called 'one'"):
        offered_models([], tmp_path)
    (tmp_path / "one.safetensors").write_bytes(b"no model")
    with pytest.raises(ValueError, match="not an i2i model file"):
        offered_models([], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no model files"):
        offered_models([], tmp_path / "empty")


def test_seeds_choose_among_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = build_generator("unet:depth=3,width=4,latent=4,dropout=0", in_channels=3, out_channels=3)
    save_model(tmp_path / "many.safetensors", Model({"a2b": generator}, ("a", "b"), {"image_size": 32}, {}, 1))
    given = noise(32, 32, 3)
    translator = Translator.load(tmp_path / "many.safetensors", device="cpu", backend="fastest")
    with serve(tmp_path / "many.safetensors") as client:
        assert client.get("/v1/models").json()["models"][0]["samples"]
        for seed in (None, 0, 5):
            params = {"model": "many"} if seed is None else {"model": "many", "seed": seed}
            found = read(client.post("/v1/translate", params=params, content=png(given)).content).pixels
            assert np.array_equal(found, translator(given, seed=seed))
    assert not np.array_equal(translator(given, seed=0), translator(given, seed=5))


HOSTILE = {
    "a huge PNG": png_chunks((60_000, 60_000), 8, 2, [b"\0"]),
    "a PNG of many rows that are cut off": png_chunks((4000, 4000), 8, 2, [b"\0"] * 10),
    "a cut PNG": png(noise(64, 64, 3))[:2000],
    "a changed PNG": png(noise(64, 64, 3)).replace(b"IDAT", b"IDOT"),
    "a TIFF without an image": b"II*\0" + bytes(60),
    "a GIF of 65535 x 65535": b"GIF89a" + b"\xff" * 7 + bytes(20),
    "a page": b"<!doctype html><script>alert(1)</script>",
    "a drawing with entities": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "&a;">]><svg>&a;</svg>',
    "an archive": b"PK\3\4" + bytes(100),
    "a pickle": b"\x80\x04\x95" + bytes(100),
    "an array of objects": b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (3,), }".ljust(128)
    + b"\n",
    "zeros": bytes(10**6),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_images_are_refused_in_a_line(client: TestClient, run: Path, name: str) -> None:
    began = time.monotonic()
    for body in ({"content": HOSTILE[name]}, {"files": {"image": ("../../x", HOSTILE[name])}}):
        answer = client.post("/v1/translate", params={"model": run.name}, **body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/json")
        assert "\n" not in answer.json()["error"]
    photo = base64.b64encode(HOSTILE[name]).decode()
    assert client.post("/v1/edit", json={"model": "dots", "photo": photo}).status_code == 422
    assert time.monotonic() - began < 10
    assert client.post("/v1/translate", params={"model": run.name}, content=png(noise(8, 8, 3))).status_code == 200


def test_a_model_is_loaded_once(run: Path) -> None:
    models = Models([Offered("boxes", run / "model.safetensors")], device="cpu")
    assert models.translator("boxes") is models.translator("boxes", "photo")


def test_figures_count_requests_by_path_and_status(client: TestClient, run: Path) -> None:
    client.post("/v1/translate", params={"model": run.name}, content=png(noise(8, 8, 3)))
    client.get("/no/such/page")
    text = client.get("/metrics").text
    assert 'i2i_requests_total{path="/v1/translate",status="200"} 1.0' in text
    assert 'i2i_requests_total{path="other",status="404"} 1.0' in text


def pixels(data_url: str) -> Any:
    return read(base64.b64decode(data_url.removeprefix("data:image/png;base64,"))).pixels
