"""Exported files: what they compute, what they say of themselves, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import Tensor

from i2i import Generator, ImageError, Translator, UsageError, build_generator, generators, translate
from i2i.cli import main
from i2i.inference.backends.exported import ExportedBackend, backends_by_name, open_export
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.exporting import export as exporting
from i2i.inference.exporting.onnx_file import header_of_model, to_onnx
from i2i.inference.exporting.parity import compare
from i2i.inference.exporting.program import HEADER
from i2i.model_file import Model, save_model
from support.images import noise

BACKENDS = ("onnx", "openvino")
NETWORKS = (
    "unet:depth=3,width=4",
    "unet:depth=2,width=4,norm=instance,dropout=0,up=resize",
    "unet:depth=2,width=4,norm_at_inference=running,up=shuffle,spectral=true",
    "unet:depth=2,width=4,latent=3,where=all,up=bilinear",
    "unet:depth=2,width=4,norm=virtual",
    "resnet:blocks=1,width=4,up=resize,spectral=true",
    "resnet:blocks=1,width=4,down=blur,up=bilinear,dropout=0.5,dropout_at_inference=true",
    "resnet:blocks=1,width=4,norm=virtual",
    "coarse_to_fine:width=4,depth=2,blocks=1,enhancers=1,enhancer_blocks=1",
    "refiner:blocks=1,width=4",
)


def model_of(spec: str) -> Model:
    torch.manual_seed(0)
    generator = build_generator(spec, in_channels=3, out_channels=2)
    with torch.no_grad():
        for parameter in generator.parameters():  # large enough for outputs to differ
            parameter *= 5 if parameter.dim() > 1 else 1
        latent = (torch.zeros(2, generator.latent),) if generator.latent else ()
        generator(torch.rand(2, 3, 32, 32) * 2 - 1, *latent)  # virtual batch norm keeps its reference
    generator.eval()
    return Model({"a2b": generator}, ("drawing", "photo"), {"image_size": 32}, {"method": "pix2pix"}, 7)


def exported(model: Model, backend: str, *, size: int = 0) -> ExportedBackend:
    header, network = header_of_model(model, "a2b", size=size)
    return open_export(to_onnx(model.generators["a2b"], header, network), backend)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    exporting.export(model_of(NETWORKS[0]), "a2b", path)
    return path


@pytest.mark.parametrize("spec", NETWORKS)
def test_it_computes_what_pytorch_does(spec: str) -> None:
    model = model_of(spec)
    reference = TorchBackend(model.generators["a2b"])
    for backend in (exported(model, name) for name in BACKENDS):
        assert (backend.spec, backend.latent) == (reference.spec, reference.latent)
        for count, height, width in ((1, 32, 32), (2, 64, 128), (3, 160, 32)):  # wider than a pattern of dropout
            x = noise(count, 3, height, width, dtype=np.float32) * 2 - 1
            z = np.ones((count, backend.latent), np.float32) if backend.latent else None
            np.testing.assert_allclose(backend(x, z), reference(x, z), atol=1e-4)


def test_every_generator_is_tried() -> None:
    assert {spec.partition(":")[0] for spec in NETWORKS} == set(generators) - {"mlp"}


def test_a_model_file_can_be_computed_by_any_backend(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, model_of(NETWORKS[0]))
    image = noise(40, 50, 3)
    expected = translate(image, path).astype(int)
    for backend in BACKENDS:
        assert np.abs(translate(image, path, backend=backend) - expected).max() <= 1
    with pytest.raises(UsageError, match="unknown backend 'onxn'; did you mean 'onnx'"):
        translate(image, path, backend="onxn")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_says_what_it_is(file: Path, backend: str) -> None:
    translator = Translator.load(file, backend=backend)
    assert translator.domains == ("drawing", "photo")
    assert (translator.image_size, translator.direction, translator.device) == (32, "a2b", "cpu")
    with pytest.raises(UsageError, match="translate to 'drawing'"):
        Translator.load(file, backend=backend, to="drawing")
    with pytest.raises(UsageError, match="is run on the CPU"):
        Translator.load(file, backend=backend, device="cuda")
    assert Translator.load(file, backend=backend, device="cpu:0").device == "cpu"
    with pytest.raises(UsageError, match=r"backend=torch doesn't run .onnx files"):
        Translator.load(file, backend="torch")


def test_openvino_has_files_of_its_own(tmp_path: Path) -> None:
    model, path = model_of(NETWORKS[0]), tmp_path / "model.xml"
    assert exporting.export(model, "a2b", path).files == [path, tmp_path / "model.bin"]
    image = noise(48, 32, 3)
    expected = Translator.from_model(model, device="cpu")(image).astype(int)
    assert np.abs(translate(image, path) - expected).max() <= 1
    with pytest.raises(UsageError, match=r"backend=onnx doesn't run .xml files"):
        translate(image, path, backend="onnx")
    (tmp_path / "model.bin").unlink()
    with pytest.raises(UsageError, match=r"model.xml can't be opened"):
        Translator.load(path)


@pytest.mark.parametrize("size", [(32, 32), (20, 9), (33, 70), (100, 32)])
def test_a_file_of_one_size_translates_larger_images_in_tiles(size: tuple[int, int]) -> None:
    backend = exported(model_of(NETWORKS[1]), "onnx", size=32)
    seen = []
    call = backend._session.run  # type: ignore[attr-defined]

    class Noting:
        def run(self, names: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.append(given["image"].shape[2:])
            return call(names, given)  # type: ignore[no-any-return]

    backend._session = Noting()  # type: ignore[attr-defined]
    result = Translator(backend)(noise(*size, 3))
    assert result.shape[:2] == size
    assert set(seen) == {(32, 32)}
    assert (len(seen) == 1) == (max(size) <= 32)


def test_half_precision_is_half_the_size(tmp_path: Path) -> None:
    model = model_of("unet:depth=4,width=16,dropout=0")
    sizes = {}
    for precision in ("fp32", "fp16"):
        written = exporting.export(model, "a2b", tmp_path / f"{precision}.onnx", precision=precision)
        sizes[precision] = written.files[0].stat().st_size
        assert written.parity.psnr > 60
    assert sizes["fp16"] < 0.55 * sizes["fp32"]


@pytest.mark.parametrize("spec", [NETWORKS[0], NETWORKS[3], NETWORKS[5]])
def test_a_program_for_cpp_takes_images_of_any_size(spec: str, tmp_path: Path) -> None:
    model, path = model_of(spec), tmp_path / "model.pt2"
    exporting.export(model, "a2b", path)
    header = {HEADER: ""}
    program = torch.export.load(path, extra_files=header).module(check_guards=False)
    reference = TorchBackend(model.generators["a2b"])
    smallest = reference.multiple  # of a U-Net, whose innermost map is then a single pixel
    for count, height, width in ((1, 32, 32), (3, 160, 64), (1, max(smallest, 8), max(smallest, 8))):
        x = noise(count, 3, height, width, dtype=np.float32) * 2 - 1
        z = np.ones((count, reference.latent), np.float32) if reference.latent else None
        found = program(*(torch.from_numpy(given) for given in (x, z) if given is not None))
        np.testing.assert_allclose(found.detach().numpy(), reference(x, z), atol=1e-5)
    assert json.loads(json.loads(header[HEADER])["domains"]) == ["drawing", "photo"]
    with pytest.raises(UsageError, match="an exported model, which only translates"):
        Translator.load(path)


def test_int8_is_near_on_images_like_those_of_its_calibration(tmp_path: Path) -> None:
    images = sorted(Path("datasets/examples").glob("*.png"))
    written = exporting_of_pretrained(tmp_path / "int8.onnx", images)
    assert written.parity.images == 8
    assert written.parity.psnr > 35
    assert written.files[0].stat().st_size < 9e6
    graph = onnx.load(written.files[0]).graph
    assert sum(node.op_type == "QuantizeLinear" for node in graph.node) > 10
    result, expected = (np.asarray(translate(images[-1], model)).astype(int) for model in (written.files[0], "map2sat"))
    assert 0 < np.abs(result - expected).mean() < 4


def exporting_of_pretrained(path: Path, images: list[Path]) -> exporting.Export:
    from i2i.model_file import load_model
    from i2i.pretrained import model_file

    return exporting.export(load_model(model_file("map2sat")), "a2b", path, precision="int8", images=images)


class ByContent(Generator):
    """Takes a branch by the values of its input, which tracing doesn't see."""

    in_channels = out_channels = 3

    def forward(self, x: Tensor) -> Tensor:
        return x if x.abs().max() == 0 else x.flip(3)


def test_what_differs_from_pytorch_is_not_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = ByContent()
    generator.spec = build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3).spec
    model = Model({"a2b": generator}, ("a", "b"), {}, {}, 0)
    with pytest.raises(UsageError, match="not written: the fp32 export differs from PyTorch by"):
        exporting.export(model, "a2b", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_several_threads_export_at_once(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model_of(NETWORKS[0]))
    with ThreadPoolExecutor(4) as threads:
        loading = [threads.submit(Translator.load, tmp_path / "model.safetensors", backend="onnx") for _ in range(8)]
    first, *others = (done.result()(noise(40, 50, 3)) for done in loading)
    assert all(np.array_equal(first, other) for other in others)


class TestFastest:
    def test_it_is_openvino_where_that_is_installed(self) -> None:
        translator = Translator.from_model(model_of(NETWORKS[0]), backend="fastest", device="cpu")
        assert type(translator.backend).__name__ == "OpenVinoBackend"

    def test_it_is_pytorch_where_nothing_else_is_or_gives_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = ByContent()
        generator.spec = build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3).spec
        model = Model({"a2b": generator}, ("a", "b"), {}, {}, 0)
        assert isinstance(Translator.from_model(model, backend="fastest", device="cpu").backend, TorchBackend)
        for backend in backends_by_name().values():
            monkeypatch.setattr(backend, "module", "not_installed_at_all")
        model = model_of(NETWORKS[0])
        assert isinstance(Translator.from_model(model, backend="fastest", device="cpu").backend, TorchBackend)

    def test_the_first_cpu_is_the_cpu(self) -> None:
        assert Translator.from_model(model_of(NETWORKS[0]), device="cpu:0").device == "cpu"
        translator = Translator.from_model(model_of(NETWORKS[0]), backend="fastest", device="cpu:0")
        assert type(translator.backend).__name__ == "OpenVinoBackend"

    def test_its_tiles_are_exact(self) -> None:
        model, image = model_of("resnet:blocks=1,width=4"), noise(96, 128, 3)
        whole, tiled = (
            Translator.from_model(model, backend="fastest", device="cpu")(image, tile=tile).astype(int)
            for tile in (None, 64)
        )
        assert np.abs(whole - tiled).max() <= 1

    def test_large_images_are_translated_in_tiles_where_memory_is_short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = exported(model_of(NETWORKS[1]), "onnx")
        assert backend.memory_per_pixel() == TorchBackend(model_of(NETWORKS[1]).generators["a2b"]).memory_per_pixel()
        monkeypatch.setattr("i2i.inference.backends.base.free_memory", lambda _: 10**7)
        with pytest.warns(UserWarning, match="translated in tiles of 1024"):
            assert Translator(backend)(noise(1100, 1100, 3)).shape == (1100, 1100, 2)


def test_no_torch_is_needed_to_run_a_file(file: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 50, 3)).save(tmp_path / "in.png")
    script = f"""
import sys
from i2i import translate
from i2i.cli import main
for backend in ("onnx", "openvino"):
    assert translate({str(tmp_path / "in.png")!r}, {str(file)!r}, backend=backend).size == (50, 40)
    out = {str(tmp_path / "out")!r} + backend
    assert main(["translate", {str(tmp_path)!r}, out, "--model", {str(file)!r}, "--backend", backend]) == 0
assert main(["info", {str(file)!r}]) == 0
from starlette.testclient import TestClient
from i2i.web import Limits, Models, make_app
from i2i.web.models import offered_models
from pathlib import Path
Path({str(tmp_path / "labels.xml")!r}).write_text("<annotation/>")  # another program's
app = make_app(Models(offered_models([], Path({str(tmp_path)!r}))), Limits())
with TestClient(app, base_url="http://localhost") as client:
    image = open({str(tmp_path / "in.png")!r}, "rb").read()
    assert client.get("/v1/models").status_code == 200
    answer = client.post("/v1/translate?model=model", content=image, headers={{"content-type": "image/png"}})
    assert answer.status_code == 200, answer.text
heavy = ("torch", "torchvision", "albumentations", "safetensors", "skimage")
print(*(name for name in heavy if name in sys.modules), "end")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["end"]), done.stderr


def test_without_pytorch_a_model_file_says_what_is_missing(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = None
from i2i.cli import main
sys.exit(main(["translate", "datasets/examples", sys.argv[1], "--model", "map2sat"]))
"""
    words = [sys.executable, "-c", script, str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "this needs torch, which isn't installed: pip install i2i-toolkit" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage",
    [
        *("cut", "noise", "empty", "text", "no header", "wrong header", "another network", "channels", "direction"),
        *("multiple", "latent", "size", "memory"),
    ],
)
def test_damaged_and_foreign_files_are_refused_in_a_line(file: Path, damage: str) -> None:
    data = file.read_bytes()
    otherwise = {
        "another network": {"multiple": -1},
        "channels": {"in_channels": 4},
        "direction": {"direction": ["a2b"]},
        "multiple": {"multiple": 2**16},
        "latent": {"latent": 2**15},
        "size": {"size": 2**15},
        "memory": {"bytes_per_pixel": 0},
    }
    if damage in ("no header", "wrong header", *otherwise):
        model = onnx.load(file)
        for entry in model.metadata_props if damage != "no header" else ():
            if entry.key == "domains" and damage == "wrong header":
                entry.value = "[1]"
            if entry.key == "network" and damage in otherwise:
                entry.value = json.dumps(json.loads(entry.value) | otherwise[damage])
        if damage == "no header":
            del model.metadata_props[:]
        data = model.SerializeToString()
    broken = {"cut": data[: len(data) // 2], "noise": noise(5000).tobytes(), "empty": b"", "text": b"<xml/>"}
    file.write_bytes(broken.get(damage, data))
    for backend in BACKENDS:
        with pytest.raises(UsageError, match=r"^[^\n]*(i2i export|is damaged)[^\n]*$"):
            Translator.load(file, backend=backend)


def test_a_backend_that_is_not_installed_says_how(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in backends_by_name().values():
        monkeypatch.setattr(backend, "module", "not_installed_at_all")
    with pytest.raises(UsageError, match=r'pip install "i2i-toolkit\[openvino\]"'):
        Translator.load(file, backend="openvino")
    with pytest.raises(UsageError, match=r'pip install "i2i-toolkit\[onnx\]" or pip install'):
        Translator.load(file)


@pytest.fixture
def broken_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """OpenVINO, as if its libraries didn't suit the system."""
    reason = "libtbb.so.12: cannot open shared object file"
    (tmp_path / "broken_openvino.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backends_by_name()["openvino"], "module", "broken_openvino")
    return reason


def test_a_library_that_can_not_be_imported_leaves_the_other(file: Path, broken_openvino: str) -> None:
    assert type(Translator.load(file).backend).__name__ == "OnnxBackend"
    fastest = Translator.from_model(model_of(NETWORKS[0]), backend="fastest", device="cpu")
    assert type(fastest.backend).__name__ == "OnnxBackend"
    with pytest.raises(UsageError, match=f"openvino is installed, but can't be imported .{broken_openvino}"):
        Translator.load(file, backend="openvino")


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_that_runs_out_is_recognised_and_the_next_image_is_translated(backend: str, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    exporting.export(model_of("unet:depth=2,width=64,norm=instance,dropout=0"), "a2b", model)
    script = f"""
import re, resource
from pathlib import Path
import numpy as np
from i2i import Translator
translator = Translator.load({str(model)!r}, backend={backend!r})
small = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
expected = translator(small)
taken = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (taken + 260 * 2**20,) * 2)
try:
    translator.backend(np.zeros((1, 3, 4096, 4096), np.float32))  # 200 MB, and the result 130 MB
except MemoryError:
    print("recognised")
assert np.array_equal(translator(small), expected)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["recognised", "done"], done.stderr


def test_only_translation_takes_an_exported_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upper = tmp_path / "upper.ONNX"
    for command in (["export", str(file), str(upper)], ["sample", str(file), str(tmp_path / "out.png")]):
        assert main(command) == 2
        assert "is an exported model, which only translates; give the model file" in capsys.readouterr().err
    assert main(["export", "map2sat", str(upper)]) == 0
    assert main(["info", str(upper)]) == 0
    capsys.readouterr()


def test_parity_finds_the_largest_difference() -> None:
    model = model_of("unet:depth=2,width=4,norm=instance,dropout=0")
    reference, other = TorchBackend(model.generators["a2b"]), TorchBackend(model_of(NETWORKS[0]).generators["a2b"])
    images = [noise(1, 3, 32, 32, dtype=np.float32, seed=seed) for seed in range(3)]
    same, different = compare(reference, reference, images, None), compare(other, reference, images, None)
    assert (same.images, same.largest, same.psnr, same.ssim) == (3, 0, np.inf, 1)
    largest = max(float(np.abs(other(image) - reference(image)).max()) for image in images)
    assert different.largest == pytest.approx(largest)
    assert different.psnr < 20
    assert not different.fits("int8")


class TestCommand:
    def test_it_says_what_it_wrote(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path, images = tmp_path / "x.onnx", tmp_path / "images"
        images.mkdir()
        Image.fromarray(noise(40, 50, 3)).save(images / "a.png")
        assert main(["export", str(run), str(path), "--calibration", str(images)]) == 0
        said = capsys.readouterr().out
        assert "MB, fp32" in said
        assert "on 1 images" in said
        assert "ms in PyTorch" in said
        assert main(["export", str(run), str(path)]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert main(["info", str(path)]) == 0
        assert "exported in fp32, for images of any size" in capsys.readouterr().out
        assert main(["translate", str(images), str(tmp_path / "out"), "--model", str(path)]) == 0
        assert main(["translate", str(images), str(tmp_path / "out"), "--model", str(path)]) == 0
        assert "1 there already" in capsys.readouterr().out

    def test_weights_beside_another_file_are_not_overwritten(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "x.bin").write_bytes(b"precious")
        assert main(["export", str(run), str(tmp_path / "x.xml")]) == 2
        assert "x.bin exists already" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]
        assert (tmp_path / "x.bin").read_bytes() == b"precious"

    def test_scores_of_an_export_are_those_of_its_model(
        self, run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["export", str(run), str(tmp_path / "x.onnx")]) == 0
        found = []
        for model in (run, tmp_path / "x.onnx"):
            scores = tmp_path / "scores.json"
            assert main(["evaluate", str(model), str(pairs), "--json", str(scores)]) == 0
            found.append(json.loads(scores.read_text()))
        ours, theirs = (scores["scores"]["l1"]["value"] for scores in found)
        assert ours == pytest.approx(theirs, abs=0.02)
        assert found[0]["model"]["step"] == found[1]["model"]["step"]
        capsys.readouterr()

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["x.pt"], "ends in .onnx or .xml or .pt2"),
            (["x.pt2", "--precision", "fp16"], "written in fp32 only"),
            (["x.onnx", "--precision", "int8"], "--calibration FOLDER"),
            (["x.onnx", "--size", "33"], "multiples of 16; use 32"),
            (["x.onnx", "--size", "65536"], "takes more memory than is free"),
            (["x.onnx", "--size", "0"], "1 or more"),
            (["x.onnx", "--calibration", "nowhere"], "not a folder"),
            (["x.onnx", "--to", "drawing"], "domain to translate to"),
        ],
    )
    def test_wrong_use(
        self,
        run: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        flags: list[str],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["export", str(run), *flags]) == 2
        assert message in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


def test_an_unreadable_calibration_image_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"bad\.png"):
        exporting.export(model_of(NETWORKS[0]), "a2b", tmp_path / "y.onnx", images=[tmp_path / "bad.png"])
    assert not (tmp_path / "y.onnx").exists()
    assert file.exists()
