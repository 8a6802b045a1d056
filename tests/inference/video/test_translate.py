"""translate_video(): what is kept of a video, what is refused, and what is left behind."""

from __future__ import annotations

import signal
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2i import Generator, ImageError, Spec, Translator, UsageError
from i2i.inference.backends.base import Backend
from i2i.inference.video.frames import TranslatedFrame
from i2i.inference.video.translate import translate_video
from i2i.model_file import Model
from i2i.networks import build_generator
from support.videos import av, frames_of, packets_of, pan, texture, times_of, write_video

LUMINANCE = np.array([0.299, 0.587, 0.114])


class Same(Generator):
    """Changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.in_channels = self.out_channels = 3
        self.spec = Spec("same")

    def forward(self, x: Tensor) -> Tensor:
        return x


class Contrast(Same):
    """Normalises each frame by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(x) / 3).clamp(-1, 1)


def translator_of(generator: Generator) -> Translator:
    return Translator.from_model(Model({"a2b": generator}, ("a", "b"), {}, {}, 0), device="cpu")


@pytest.fixture(scope="module")
def same() -> Translator:
    return translator_of(Same())


@pytest.fixture(scope="module")
def unet() -> Translator:
    torch.manual_seed(0)
    spec = Spec.parse("unet:in_channels=3,out_channels=3,depth=3,width=8,norm=instance,norm_at_inference=sample")
    return translator_of(build_generator(spec))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames with a tone."""
    return write_video(tmp_path_factory.mktemp("video") / "in.mp4", pan(10))


def collect(video: Path, target: Path, translator: Translator, **options: object) -> list[TranslatedFrame]:
    seen: list[TranslatedFrame] = []
    translate_video(video, target, translator, progress=False, on_frame=seen.append, **options)  # type: ignore[arg-type]
    return seen


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def test_a_model_that_changes_nothing_gives_the_same_video(video: Path, same: Translator, tmp_path: Path) -> None:
    result = translate_video(video, tmp_path / "out.mp4", same, smooth=0, progress=False)
    assert (result.frames, result.scenes, result.notes) == (10, 1, [])
    assert times_of(tmp_path / "out.mp4") == times_of(video)
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(video, "audio")
    for before, after in zip(frames_of(video), frames_of(tmp_path / "out.mp4"), strict=True):
        assert psnr(before @ LUMINANCE, after @ LUMINANCE) > 40
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.metadata["title"] == "Boxes"
        assert file.streams.video[0].average_rate == 25
        assert file.streams.video[0].pix_fmt == "yuv420p"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_variable_frame_rate_keeps_its_timestamps(same: Translator, tmp_path: Path, suffix: str) -> None:
    pts = [0, 40, 50, 170, 171, 900]
    source = write_video(tmp_path / "in.mkv", pan(6), pts=pts, time_base=Fraction(1, 1000), audio=None)
    translate_video(source, tmp_path / f"out{suffix}", same, progress=False)
    assert [float(1000 * time) for time in times_of(tmp_path / f"out{suffix}")] == pts


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_rotation_is_kept(same: Translator, tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / "in.mp4", pan(3), rotation=90)
    translate_video(source, tmp_path / f"out{suffix}", same, progress=False)
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        frame = next(file.decode(video=0))
    assert (frame.rotation, frame.width, frame.height) == (90, 64, 48)


def test_webm_is_vp9_with_the_audio_of_the_input(same: Translator, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.webm", pan(4, size=(47, 63)), codec="libvpx-vp9", audio="libopus")
    translate_video(source, tmp_path / "out.webm", same, progress=False)
    assert packets_of(tmp_path / "out.webm", "audio") == packets_of(source, "audio")
    with av.open(str(tmp_path / "out.webm")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("vp9", 63, 47)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_and_languages_are_kept(same: Translator, tmp_path: Path, suffix: str) -> None:
    plain, source, out = write_video(tmp_path / "plain.mp4", pan(25)), tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    with av.open(str(plain)) as file, av.open(str(source), "w") as written:
        half = [{"id": n, "start": 500 * n, "end": 500 * n + 500, "time_base": Fraction(1, 1000)} for n in (0, 1)]
        written.set_chapters([chapter | {"metadata": {"title": "ab"[chapter["id"]]}} for chapter in half])  # type: ignore[misc, list-item]
        copies = {stream.index: written.add_stream_from_template(stream, opaque=True) for stream in file.streams}
        copies[1].metadata["language"] = "fin"
        for packet in file.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                written.mux(packet)
    translate_video(source, out, same, progress=False)
    with av.open(str(out)) as file:
        found = [(chapter["metadata"]["title"], chapter["start"] * chapter["time_base"]) for chapter in file.chapters()]
        assert found == [("a", 0), ("b", Fraction(1, 2))]
        assert file.streams.audio[0].language == "fin"


def test_odd_sizes_are_kept_in_h264_without_subsampling(same: Translator, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.webm", pan(3, size=(47, 63)), codec="libvpx-vp9", audio=None)
    result = translate_video(source, tmp_path / "out.mp4", same, progress=False)
    assert "4:4:4" in result.notes[0]
    with av.open(str(tmp_path / "out.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (63, 47, "yuv444p")


def test_audio_that_a_container_cannot_hold_is_refused(video: Path, same: Translator, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't hold the audio .*aac.*\.mkv"):
        translate_video(video, tmp_path / "out.webm", same, progress=False)
    assert not list(tmp_path.iterdir())


def test_ten_bits_stay_ten_bits(same: Translator, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pan(3), pix_fmt="yuv420p10le", audio=None)
    seen = collect(source, tmp_path / "out.mkv", same, smooth=0)
    assert {frame.result.dtype for frame in seen} == {np.dtype(np.uint16)}
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.video[0].pix_fmt == "yuv420p10le"


def test_without_smoothing_frames_are_translated_one_by_one(unet: Translator, video: Path, tmp_path: Path) -> None:
    for batch_size in (1, 4):
        seen = collect(video, tmp_path / f"{batch_size}.mp4", unet, smooth=0, batch_size=batch_size)
        for frame in seen:
            assert frame.result is frame.plain
            alone = unet(frame.source)
            assert (frame.plain == alone).all() if batch_size == 1 else np.ptp(frame.plain.astype(int) - alone) <= 2


def test_tiles_translate_like_full_frames(unet: Translator, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", pan(3, size=(96, 128)), audio=None)
    full = collect(source, tmp_path / "full.mp4", unet, norm_smooth=0.8)
    tiled = collect(source, tmp_path / "tiled.mp4", unet, norm_smooth=0.8, tile=64)
    for a, b in zip(full, tiled, strict=True):
        assert abs(a.result.astype(int) - b.result).max() <= 1


def test_smoothing_starts_again_at_a_cut(unet: Translator, tmp_path: Path) -> None:
    frames = [*pan(4), *pan(4, seed=7)]
    source = write_video(tmp_path / "in.mp4", frames, audio=None)
    seen = collect(source, tmp_path / "out.mp4", unet, smooth=0.8, norm_smooth=0.9)
    assert [frame.cut for frame in seen] == [True, False, False, False] * 2
    apart = [abs(frame.result.astype(int) - unet(frame.source)).max() for frame in seen]
    assert apart[0] <= 1  # rounding
    assert apart[4] <= 1
    assert min(apart[1:4] + apart[5:]) > 1


def test_moving_statistics_hold_the_tone_when_something_enters(tmp_path: Path) -> None:
    ground = texture(48, 64) // 4 + 96
    entered = ground.copy()
    entered[:16, :16] = 255
    source = write_video(tmp_path / "in.mp4", [ground] * 3 + [entered] * 2, audio=None)
    contrast = translator_of(Contrast())

    def jump(norm_smooth: float) -> float:
        seen = collect(source, tmp_path / f"{norm_smooth}.mp4", contrast, smooth=0, norm_smooth=norm_smooth)
        assert [frame.cut for frame in seen] == [True, False, False, False, False]
        before, after = (frame.result[24:].astype(float) for frame in seen[2:4])
        return float(abs(after - before).mean())

    assert jump(0.9) < 0.6 * jump(0)


def test_invert_dark_is_decided_by_scene(tmp_path: Path) -> None:
    greys = [texture(48, 64) // 8 + level for level in (90, 100, 120, 130)]  # dark, then light, of one scene
    source = write_video(tmp_path / "in.mp4", greys, audio=None)
    translator = Translator.from_model(Model({"a2b": Same()}, ("a", "b"), {}, {}, 0), device="cpu", invert_dark=True)
    for frame in collect(source, tmp_path / "out.mp4", translator, smooth=0):
        assert (frame.result == 255 - frame.source).all()


class Halves(Backend):
    """A backend that isn't PyTorch."""

    spec, in_channels, out_channels = "halves", 3, 3

    def __call__(self, x: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        return x / 2


def test_another_backend_is_blended_but_has_no_norms_to_smooth(video: Path, tmp_path: Path) -> None:
    assert translate_video(video, tmp_path / "out.mp4", Translator(Halves()), progress=False).frames == 10
    with pytest.raises(UsageError, match=r"norm_smooth=0\.5: an exported model holds its norms"):
        translate_video(video, tmp_path / "none.mp4", Translator(Halves()), norm_smooth=0.5, progress=False)
    with pytest.raises(UsageError, match="no norms that take their statistics from each image"):
        translate_video(video, tmp_path / "none.mp4", translator_of(Same()), norm_smooth=0.5, progress=False)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"smooth": 1.0}, "smooth=1.0: it must be from 0"),
        ({"norm_smooth": -0.1}, "norm_smooth=-0.1: it must be from 0"),
        ({"batch_size": 0}, "batch size 0"),
        ({"tile": 0}, "tile 0"),
        ({"quality": 101}, "quality=101: it must be from 1 to 100"),
        ({"seed": 3}, "leave out seed"),
    ],
)
def test_settings_out_of_range_are_refused(
    video: Path, same: Translator, tmp_path: Path, options: dict[str, float], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        translate_video(video, tmp_path / "out.mp4", same, progress=False, **options)  # type: ignore[arg-type]


def test_existing_targets_and_the_input_itself_are_not_overwritten(
    video: Path, same: Translator, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"kept")
    with pytest.raises(UsageError, match="exists already"):
        translate_video(video, target, same, progress=False)
    with pytest.raises(UsageError, match="would overwrite the input"):
        translate_video(video, video, same, overwrite=True, progress=False)
    with pytest.raises(UsageError, match=r"a video ends in .*\.mkv or \.webm"):
        translate_video(video, tmp_path / "out.avi", same, progress=False)
    assert target.read_bytes() == b"kept"
    translate_video(video, target, same, overwrite=True, progress=False)
    assert len(frames_of(target)) == 10


@pytest.mark.parametrize("wrong", ["nothing", "text", "truncated", "incomplete", "overwritten", "mkv", "audio"])
def test_damaged_files_leave_nothing_behind(same: Translator, tmp_path: Path, wrong: str) -> None:
    folder, source = tmp_path / "out", tmp_path / ("in.mkv" if wrong == "mkv" else "in.mp4")
    front = {} if wrong == "mkv" else {"movflags": "faststart"}
    data = write_video(source, pan(40), options=None if wrong == "truncated" else front).read_bytes()
    half = len(data) // 2
    if wrong == "audio":
        with av.open(str(source), "w") as file:
            sound = file.add_stream("aac", rate=48000)
            heard = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48000, 0
            file.mux([*sound.encode(heard), *sound.encode(None)])
    elif wrong == "overwritten":
        noise = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
        source.write_bytes(data[:half] + noise + data[half + 4000 :])
    else:
        source.write_bytes({"nothing": b"", "text": b"no video"}.get(wrong, data[: int(0.6 * len(data))]))
    with pytest.raises(ImageError, match=r"in\.m\w+: (it has no|not a video|the file is)") as raised:
        translate_video(source, folder / "out.mp4", same, progress=False)
    assert "\n" not in str(raised.value)
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_nothing_behind(video: Path, same: Translator, tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        with pytest.raises(OSError, match="File too large") as raised:
            translate_video(video, tmp_path / "out.mp4", same, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert raised.value.filename == str(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing_behind(video: Path, same: Translator, tmp_path: Path) -> None:
    def interrupt(_: TranslatedFrame) -> None:
        assert list(tmp_path.iterdir())  # the temporary file
        assert threading.current_thread() is threading.main_thread()
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        translate_video(video, tmp_path / "out.mp4", same, progress=False, on_frame=interrupt)
    assert not list(tmp_path.iterdir())
