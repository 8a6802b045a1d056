"""Model files: whole, without pickle, and refused in words when they are not what they should be."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from i2i.errors import UsageError
from i2i.model_file import FORMAT, Model, load_model, read_header, save_model
from i2i.networks import Backbones, Generator, build_generator, generators
from i2i.pretrained import folder, model_file, pretrained
from i2i.spec import Spec
from i2i.training.checkpoint import load_state


@pytest.mark.parametrize("name", list(generators))
def test_a_model_comes_back_bit_equal(name: str, tmp_path: Path) -> None:
    maps = {way: build_generator(f"{name}:width=4", in_channels=3, out_channels=3).eval() for way in ("a2b", "b2a")}
    model = Model(maps, ("map", "sat"), {"image_size": 256}, {"method": "x"}, 7)
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    size = maps["a2b"].smallest
    x = torch.rand(1, 3, size, size) * 2 - 1
    with torch.no_grad():
        for way, generator in maps.items():
            assert again.generators[way].spec == generator.spec
            assert torch.equal(again.generators[way](x), generator(x))
    assert (again.domains, again.preprocess, again.config, again.step) == (
        ("map", "sat"),
        {"image_size": 256},
        {"method": "x"},
        7,
    )


def test_half_precision_halves_the_file_and_opens_in_float32(run: Path, tmp_path: Path) -> None:
    whole = load_model(run / "model.safetensors")
    save_model(tmp_path / "half.safetensors", whole, dtype=torch.float16)
    half = load_model(tmp_path / "half.safetensors")
    assert {p.dtype for p in half.generators["a2b"].parameters()} == {torch.float32}
    for one, two in zip(whole.generators["a2b"].parameters(), half.generators["a2b"].parameters(), strict=True):
        assert (one - two).abs().max() <= 1e-3 * one.abs().max()


def test_a_file_of_another_format_says_who_wrote_it(run: Path, tmp_path: Path) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        header = file.metadata()
    for format_, said in (("i2i-model/9", "pip install --upgrade"), ("other", "model.safetensors of i2i train")):
        save_file({"x": torch.zeros(1)}, tmp_path / "f.safetensors", {**header, "format": format_, "made_by": "tool 3"})
        with pytest.raises(UsageError, match=f"written by tool 3 with {format_}.*{said}"):
            read_header(tmp_path / "f.safetensors")


def test_weights_of_another_network_are_refused(run: Path, tmp_path: Path) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        header = file.metadata()
    assert header["format"] == FORMAT
    save_file({"a2b.x": torch.zeros(1)}, tmp_path / "f.safetensors", header)
    with pytest.raises(UsageError, match="weights don't fit"):
        load_model(tmp_path / "f.safetensors")


def test_a_cut_off_file_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(UsageError, match="not an i2i model file"):
        load_model(tmp_path / "cut.safetensors")


def test_a_state_runs_no_code(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "harmed"),))  # type: ignore[return-value]

    (tmp_path / "state.pt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(UsageError, match="can't be read"):
        load_state(tmp_path / "state.pt")
    torch.save({"format": "i2i-state/1", "x": Harm()}, tmp_path / "state.pt")
    with pytest.raises(UsageError, match="can't be read"):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("name", list(pretrained()))
def test_pretrained_models_are_what_the_index_says(name: str) -> None:
    entry = pretrained()[name]
    assert entry.file.stat().st_size < 24e6
    assert (folder() / f"{name}.md").is_file()
    model = load_model(model_file(name))
    source = "latent" if "z2b" in model.generators else model.domains[0]
    assert entry.direction == f"{source} -> {model.domains[1]}"


def test_loading_leaves_the_random_state_and_the_callers_settings_alone(run: Path) -> None:
    before = torch.get_rng_state()
    model = load_model(run / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.inference_mode():
            again = load_model(run / "model.safetensors")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for one, two in zip(model.generators["a2b"].parameters(), again.generators["a2b"].parameters(), strict=True):
        assert (two.dtype, two.device.type, two.is_inference()) == (torch.float32, "cpu", False)
        assert torch.equal(one, two)


def test_a_changed_header_or_weight_is_damage(run: Path, tmp_path: Path) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert header["checksum"].startswith("sha256:")
    save_file(tensors, tmp_path / "same.safetensors", header)
    load_model(tmp_path / "same.safetensors")
    save_file(tensors, tmp_path / "turned.safetensors", {**header, "domains": '["photo", "drawing"]'})
    name = max(tensors, key=lambda name: tensors[name].numel())
    save_file({**tensors, name: tensors[name] * 2}, tmp_path / "doubled.safetensors", header)
    for file in ("turned", "doubled"):
        with pytest.raises(UsageError, match="its checksum differs; download or copy it again"):
            load_model(tmp_path / f"{file}.safetensors")
    damaged = {name.replace("checksum", "checkqum"): text for name, text in header.items()}  # else it had no checksum
    save_file(tensors, tmp_path / "renamed.safetensors", damaged)
    with pytest.raises(UsageError, match='its header has an unknown entry "checkqum"'):
        load_model(tmp_path / "renamed.safetensors")
    del header["checksum"]  # as before there were any
    save_file({**tensors, name: tensors[name] * 2}, tmp_path / "old.safetensors", header)
    assert load_model(tmp_path / "old.safetensors").step == 12


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, run: Path, tmp_path: Path) -> None:
    model = load_model(run / "model.safetensors")
    weight = next(parameter for parameter in model.generators["a2b"].parameters() if parameter.dim() == 4)
    weight[0, 0, 0, 0] = value
    save_model(tmp_path / "model.safetensors", model)
    with pytest.raises(UsageError, match="weight has NaN or infinite values"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("spec", ["unet:depth=9,width=1", "refiner:blocks=900", "mlp:layers=99"])
def test_a_spec_of_more_layers_than_the_file_has_weights_is_not_built(spec: str, run: Path, tmp_path: Path) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in list(file.keys())[:2]}
    del header["checksum"]
    way, given = ("z2b", "out_channels=3,image_size=8") if "mlp" in spec else ("a2b", "in_channels=3,out_channels=3")
    header["maps"] = json.dumps({way: f"{spec},{given}"})
    tensors = {name.replace("a2b", way): tensor for name, tensor in tensors.items()}
    save_file(tensors, tmp_path / "few.safetensors", header)
    with pytest.raises(UsageError, match="far larger than the 2 tensors that the file has for it"):
        load_model(tmp_path / "few.safetensors")


class Graded(Generator):
    """Its constructor needs the values of tensors, which those on the meta device don't have."""

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 4) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.scales = [one.item() for one in torch.linspace(0, 1, 3)]
        self.layers = nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.Conv2d(width, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x) * self.scales[1]
        return result


@pytest.fixture
def graded() -> Iterator[None]:
    generators.register("graded")(Graded)
    yield
    del generators._builders["graded"]


def test_a_plugin_whose_constructor_needs_values_is_built_and_loaded(graded: None, tmp_path: Path) -> None:
    network = Backbones(Spec("graded"), Spec("patchgan"), 32).generator(3, 3)
    save_model(tmp_path / "model.safetensors", Model({"a2b": network}, ("a", "b"), {"image_size": 32}, {}, 0))
    again = load_model(tmp_path / "model.safetensors").generators["a2b"]
    assert torch.equal(again(torch.ones(1, 3, 4, 4)), network(torch.ones(1, 3, 4, 4)))
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["maps"] = header["maps"].replace("width=4", "width=40000000")
    del header["checksum"]
    save_file(tensors, tmp_path / "huge.safetensors", header)
    with pytest.raises(UsageError, match="far larger than the 4 tensors that"):
        load_model(tmp_path / "huge.safetensors")


def test_one_direction_is_loaded_alone(tmp_path: Path) -> None:
    maps = {way: build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3) for way in ("a2b", "b2a")}
    save_model(tmp_path / "both.safetensors", Model(maps, ("map", "sat"), {}, {}, 0))
    built = []
    hook = register_module_module_registration_hook(lambda module, _, __: built.append(type(module)))
    try:
        model = load_model(tmp_path / "both.safetensors", directions=["b2a"])
    finally:
        hook.remove()
    assert list(model.generators) == ["b2a"]
    assert (
        built.count(type(maps["a2b"])) == len(list(maps["b2a"].children())) * 2
    )  # once on the meta device, once in memory
    assert all(
        torch.equal(loaded, saved)
        for loaded, saved in zip(model.generators["b2a"].parameters(), maps["b2a"].parameters(), strict=True)
    )
    assert model.domains == ("map", "sat")


def test_damage_in_another_direction_is_found_too(tmp_path: Path) -> None:
    maps = {way: build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3) for way in ("a2b", "b2a")}
    file = tmp_path / "both.safetensors"
    save_model(file, Model(maps, ("map", "sat"), {}, {}, 0))
    content = bytearray(file.read_bytes())
    content[len(content) // 4 * 3] ^= 1  # of the second network, as names are sorted
    file.write_bytes(content)
    with pytest.raises(UsageError, match="checksum differs"):
        load_model(file, directions=["a2b"])
