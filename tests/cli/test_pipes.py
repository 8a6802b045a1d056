"""One image from stdin, or to stdout."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
from support.images import made, noise


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model file."""
    generator = build_generator("resnet:blocks=1,width=4", in_channels=3, out_channels=3)
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 32}, {}, 0))
    return file


@pytest.fixture
def pipe(tmp_path, model):
    """`i2i translate` with these bytes as stdin: its exit code, stdout and stderr, in this process."""

    def run(source, output, *words, stdin=b""):
        (tmp_path / "stdin").write_bytes(stdin)
        given = os.open(tmp_path / "stdin", os.O_RDONLY)
        taken = os.open(tmp_path / "stdout", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        kept = [os.dup(number) for number in (0, 1)]
        os.dup2(given, 0)
        os.dup2(taken, 1)
        try:
            code = main(["translate", str(source), str(output), "--model", str(model), "--device", "cpu", *words])
        finally:
            for number, before in enumerate(kept):
                os.dup2(before, number)
                os.close(before)
            os.close(given)
            os.close(taken)
        return code, (tmp_path / "stdout").read_bytes()

    return run


IMAGE = DecodedImage(noise(20, 30, 3))


def kind(data):
    return "NPY" if data.startswith(b"\x93NUMPY") else Image.open(io.BytesIO(data)).format


@pytest.mark.parametrize(
    ("suffix", "words", "format"),
    [
        (".png", [], "PNG"),
        (".jpg", [], "JPEG"),
        (".webp", [], "WEBP"),
        (".tif", [], "TIFF"),
        (".bmp", [], "BMP"),
        (".npy", [], "NPY"),
        (".gif", [], "PNG"),
        (".png", ["--format", "jpg"], "JPEG"),
        (".jpg", ["--format", "npy", "--quiet"], "NPY"),
    ],
)
def test_output_has_the_format_of_the_input_or_of_the_flag(pipe, suffix, words, format):
    code, data = pipe("-", "-", *words, stdin=made(IMAGE, suffix))
    assert (code, kind(data)) == (0, format)
    assert read(data).pixels.shape == (20, 30, 3)


def test_a_pipe_gives_what_a_file_gives(pipe, tmp_path, capsys):
    (tmp_path / "in.png").write_bytes(made(IMAGE, ".png"))
    assert pipe(tmp_path / "in.png", tmp_path / "out.png")[0] == 0
    capsys.readouterr()
    expected = read(tmp_path / "out.png").pixels
    _, between = pipe("-", "-", stdin=made(IMAGE, ".png"))
    _, out = pipe(tmp_path / "in.png", "-")
    assert pipe("-", tmp_path / "new/2.tif", stdin=made(IMAGE, ".png"))[0] == 0
    for found in (read(between), read(out), read(tmp_path / "new/2.tif")):
        assert np.array_equal(found.pixels, expected)
    said = capsys.readouterr()
    assert said.out == "", "messages go to stderr alone"
    assert "2.tif: translated to b" in said.err


def test_stdin_that_is_not_an_image_fails_and_nothing_is_written(pipe, capsys):
    for data, reason in ((b"", "stdin: an empty file"), (b"hello", "stdin: not an image that can be read")):
        assert pipe("-", "-", stdin=data) == (1, b"")
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"i2i: {reason}")


def test_wrong_use_of_a_pipe(pipe, tmp_path, capsys):
    image = tmp_path / "in.png"
    image.write_bytes(made(IMAGE, ".png"))
    (tmp_path / "folder").mkdir()
    for words, expected in (
        (["-", tmp_path / "folder"], "INPUT - needs an image file as OUTPUT, or -"),
        (["-", tmp_path / "x.heic"], "INPUT - needs an image file as OUTPUT, or -"),
        (["-", image], "in.png exists already; add --overwrite"),
        (["-", tmp_path / "x.jpg", "--format", "png"], "leave out --format png"),
        ([tmp_path / "folder", "-"], "OUTPUT - takes a single image file as INPUT"),
        ([tmp_path / "*.png", "-"], "OUTPUT - takes a single image file as INPUT"),
        (["-", "-", "--samples", "2"], "leave out --samples"),
        (["-", "-", "--seed", "2"], "gives one output for an input"),
        (["-", "-", "--contact-sheet", str(tmp_path / "x.png")], "leave out --samples and --contact-sheet"),
    ):
        assert pipe(*words, stdin=made(IMAGE, ".png")) == (2, b""), words
        assert expected in capsys.readouterr().err, words


def into_a_closed_pipe(source, model):
    """`i2i translate - -` whose output nobody reads, in this process."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False))
    os.dup2(os.open(source, os.O_RDONLY), 0)
    return main(["translate", "-", "-", "--model", str(model), "--device", "cpu"])


def test_a_closed_pipe_is_an_error_of_at_most_one_line(model, tmp_path, forks):
    (tmp_path / "in.png").write_bytes(made(DecodedImage(noise(200, 300, 3)), ".png"))
    done = forks.run(into_a_closed_pipe, tmp_path / "in.png", model).wait()
    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_dot_slash_dash_is_a_folder(tmp_path, model, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("1.png").write_bytes(made(IMAGE, ".png"))
    assert main(["translate", "1.png", "./-", "--model", str(model), "--device", "cpu"]) == 0
    assert read(tmp_path / "-" / "1.png").pixels.shape == (20, 30, 3)
    assert "1 translated" in capsys.readouterr().out
