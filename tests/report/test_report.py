"""The page of a run: what it says, that it holds for odd folders, and that it works in a browser."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.report import write_page
from i2i.report.charts import MOST_POINTS, Chart, charts_of, drawn, thinned
from i2i.report.markup import duration
from i2i.report.run_folder import read_run

VOID = {"meta", "link", "input", "img"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CONFIG = {
    "method": "pix2pix",
    "paths": ["data/maps"],
    "options": {"l1_weight": 100.0},
    "data": {"image_size": 128, "load_size": None, "augment": ["flip"], "domains": ["map", "sat"]},
    "train": {"steps": 400, "batch_size": 2, "lr": 0.0002, "generator": None},
    "plugins": [],
    "made_by": "i2i-toolkit 1",
}
LINES = [
    {"step": s, "lr": 2e-4, "images_per_second": 10.0, "generator/adversarial": 0.7, "generator/l1": 50 / s,
     "discriminator/adversarial": 0.6, "fake_accuracy": 0.5}
    for s in range(100, 301, 100)
]  # fmt: skip
SCORES = [
    {"step": 100, "validation/l1": 30.0, "validation/psnr": 14.0, "validation/n": 50},
    {"step": 200, "validation/l1": 25.0, "validation/psnr": 15.5, "validation/n": 50},
    {"step": 300, "validation/l1": 28.0, "validation/psnr": 15.0, "validation/n": 50},
]
SUMMARY = {
    "domains": ["map", "sat"],
    "layout": "pairs side by side",
    "training_images": 1096,
    "held_out_images": 50,
    "maps": {"a2b": "unet:depth=7"},
    "parameters": {"a2b": 13.6e6},
    "steps": 400,
    "command": "i2i train pix2pix data/maps --steps 400",
    "best": {"step": 200, "score": "validation/l1", "value": 24.5},
    "state": "running",
}


class Page(HTMLParser):
    """A page as elements: their attributes, and the text within each id and each tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.source = text
        self.feed(text)
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for name in {name for pair in self.open for name in pair if name}:
            self.text[name] = self.text.get(name, "") + data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.text["run"])


def make_run(folder: Path, *, lines: Any = (), grids: Any = (), config: Any = CONFIG, summary: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in grids:
        (folder / "samples").mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), (step % 255, 90, 60)).save(folder / "samples" / f"{step:06d}.png")
    return folder


def page_of(folder: Path) -> Page:
    write_page(folder)
    return Page((folder / "report.html").read_text("utf-8"))


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A run in the middle of its steps that has all a page can show."""
    warned = [{"step": 200, "warning": "blurry outputs", "advice": "try --l1-weight 10"}]
    return make_run(tmp_path / "maps", lines=LINES + SCORES + warned, grids=(100, 200, 300), summary=SUMMARY)


def test_a_page_needs_nothing_but_the_grids_beside_it(full):
    page = page_of(full)
    loaded = [a.get("src") or a.get("href") for a in page.of("img") + page.of("script") + page.of("link")]
    beside = [address for address in loaded if address and not address.startswith("data:")]
    assert beside == ["samples/000300.png"]
    assert "http:" not in page.source.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page.source


def test_the_header_says_where_the_run_is(full):
    page = page_of(full)
    assert page.text["h1"] == "pix2pix: map → sat"
    header = page.text["header"]
    # 300 steps of 2 images at 10 a second took 60 s, the other 100 take 20 s.
    for said in ("running", "300 of 400", "trained for1 min", "time left20 s", "best step200"):
        assert said in header
    assert page.of("progress")[0] | {"aria-label": ""} == {"max": "400", "value": "300", "aria-label": ""}


def test_times_are_said_as_people_say_them():
    said = {0.4: "0 s", 29: "29 s", 60: "1 min", 3599: "1 h 0 min", 5400: "1 h 30 min", 90000: "1 d 1 h"}
    assert {seconds: duration(seconds) for seconds in said} == said
    assert duration(math.inf).endswith(" h")


def test_the_last_grid_is_shown_at_its_size_and_the_others_can_be_reached(full):
    page = page_of(full)
    (shown,) = page.of("img")
    assert (shown["src"], shown["width"], shown["height"]) == ("samples/000300.png", "60", "40")
    assert page.data["samples"] == [[step, f"samples/000{step}.png"] for step in (100, 200, 300)]
    links = [a["href"] for a in page.of("a")]
    assert [f"samples/000{step}.png" for step in (100, 200, 300)] == links[-3:]


def test_players_and_scores_have_charts_of_their_own(full):
    charts = {chart["key"]: chart for chart in page_of(full).data["charts"]}
    first = ["validation/l1", "validation/psnr", "generator", "discriminator"]
    assert list(charts) == [*first, "fake_accuracy", "lr", "images_per_second"]
    assert charts["generator"]["curves"] == {
        "adversarial": [[100, 200, 300], [0.7, 0.7, 0.7]],
        "l1": [[100, 200, 300], [0.5, 0.25, 0.16667]],
    }
    assert charts["validation/l1"]["best"] == charts["validation/psnr"]["best"] == 200
    assert charts["generator"]["best"] is None


def test_the_best_step_is_that_of_the_lowest_l1_where_the_summary_does_not_say(tmp_path):
    page = page_of(make_run(tmp_path, lines=LINES + SCORES))
    assert "best step200" in page.text["header"]
    rows = re.findall(r"(L1|PSNR) [^0-9]*(?:255, lower is better)?([0-9.]+)", page.text["scores"])
    assert rows == [("L1", "2825200"), ("PSNR", "1515.5200")]  # last, best, step


def test_the_best_of_the_summary_is_believed(full):
    assert "2824.5200" in page_of(full).text["scores"]


@pytest.mark.parametrize(
    ("terms", "log"), [((0.5, 20.0), True), ((0.5, 10.0), False), ((-0.5, 20.0), False), ((0.0, 20.0), False)]
)
def test_terms_of_very_different_sizes_are_shown_on_a_logarithmic_scale(terms, log):
    curves = {f"{index}": [(1, value), (2, value)] for index, value in enumerate(terms)}
    chart = Chart("generator", "Generator", "", curves, "losses")
    assert (chart.can_log, chart.is_log) == (min(terms) > 0, log)


def test_warnings_come_first_each_once_with_its_advice(tmp_path):
    lines = [{"step": s, "warning": "W1", "advice": "A1"} for s in (10, 30, 20)]
    lines += [{"step": 5, "warning": f"old {i}"} for i in range(4)] + [{"step": 1000, "warning": "W2", "advice": None}]
    page = page_of(make_run(tmp_path, lines=lines, grids=[10]))
    ends = page.source.index("Warnings</h2>"), page.source.index("Images</h2>")
    assert ends[0] < ends[1]
    told = page.source[slice(*ends)]
    assert [told.count(text) for text in ("W1", "A1", "W2", "None")] == [1, 1, 1, 0]
    assert told.index("step 1,000") < told.index("step 30, 3 times since step 10") < told.index("3 earlier")


def test_commands_name_the_run_and_its_data(full):
    page = page_of(full)
    commands = page.text["commands"]
    for command in (
        f"i2i translate INPUT OUTPUT --model {full}",
        f"i2i evaluate {full} data/maps",
        "i2i train pix2pix data/maps --steps 400",
    ):
        assert command in commands
    assert "--resume" in commands, "a machine may be lost without a word"
    assert sum("copy" in (a.get("class") or "") for a in page.of("button")) == 5


def test_a_stopped_run_says_how_to_go_on(tmp_path):
    page = page_of(make_run(tmp_path / "a run", lines=LINES, summary={"state": "stopped"}))
    assert f"i2i train pix2pix data/maps --run '{tmp_path}/a run' --resume" in page.text["commands"]
    assert "would still take20 s" in page.text["header"]


def test_the_command_of_the_summary_goes_on_where_it_says_so(tmp_path):
    summary = {"state": "stopped", "command": "torchrun -m i2i train pix2pix data/maps --run x --resume"}
    commands = page_of(make_run(tmp_path, lines=LINES, summary=summary)).text["commands"]
    assert commands.count("--resume") == 1
    assert "Go on with this runtorchrun -m i2i train pix2pix data/maps --run x --resume" in commands


def test_a_run_can_be_made_again_where_the_method_s_defaults_are_told(tmp_path):
    defaults = {
        "options": {"l1_weight": 50.0, "flipped": True},
        "data": {"image_size": 128, "augment": [], "load_size": 286, "labels": False, "domains": None},
        "train": CONFIG["train"],
    }
    config = CONFIG | {
        "options": {"l1_weight": 100.0, "flipped": False},
        "data": CONFIG["data"] | {"labels": True},
        "paths": ["my maps"],
        "plugins": ["own.py"],
    }
    page = page_of(make_run(tmp_path, lines=LINES, config=config, summary={"defaults": defaults}))
    flags = "--l1-weight 100.0 --no-flipped --augment flip --domains map sat --labels --import own.py"
    assert f"againi2i train pix2pix 'my maps' {flags}" in page.text["commands"]


def test_the_best_model_can_be_used_where_it_is_kept(full):
    assert "best.safetensors" not in page_of(full).text["commands"]
    (full / "best.safetensors").touch()
    assert f"--model {full}/best.safetensors" in page_of(full).text["commands"]


@pytest.mark.parametrize("name", ["l1", "validation/l1"])
def test_the_summary_names_a_score_in_short_or_in_full(tmp_path, name):
    summary = {"best": {"step": 100, "score": name, "value": 7.5}}
    page = page_of(make_run(tmp_path, lines=LINES + SCORES, summary=summary))
    assert "287.5100" in page.text["scores"]


def test_models_of_both_ways_and_from_noise_are_used_as_they_are(tmp_path):
    both = page_of(make_run(tmp_path / "both", config=CONFIG | {"method": "cyclegan"})).text["commands"]
    assert re.findall("--to [a-z]{3}", both) == ["--to sat", "--to map"]
    noise = page_of(make_run(tmp_path / "noise", config=CONFIG | {"method": "gan"})).text["commands"]
    assert f"i2i sample {tmp_path}/noise samples.png" in noise
    assert "translate" not in noise


def changed_flags(page: Page) -> list[str]:
    return re.findall("<code>(--[^<]+)</code>", page.source.split("Of pix2pix</summary>")[0])


def test_settings_that_differ_come_first(tmp_path):
    page = page_of(make_run(tmp_path, lines=LINES))
    assert changed_flags(page) == ["--image-size", "--domains", "--steps", "--batch-size"]
    assert "--image-size128256" in page.text["settings"]
    assert "--l1-weight100.0" in page.text["settings"].split("Of pix2pix")[1]


def test_settings_are_compared_with_the_method_s_own_defaults_where_they_are_told(tmp_path):
    own = {"options": {"l1_weight": 10.0}, "data": CONFIG["data"], "train": CONFIG["train"]}
    assert changed_flags(page_of(make_run(tmp_path, summary={"defaults": own}))) == ["--l1-weight"]


def test_data_and_networks_are_told(full):
    page = page_of(full)
    assert all(said in page.text["data"] for said in ("map → sat", "pairs side by side", "1,096", "50 images"))
    assert all(said in page.text["networks"] for said in ("map → sat", "unet:depth=7", "13.6 M parameters"))


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&$title"


def test_texts_are_only_ever_texts(tmp_path):
    folder = tmp_path / HOSTILE.replace("/", "\N{FRACTION SLASH}")
    config = {
        "method": HOSTILE,
        "paths": [HOSTILE],
        "plugins": [HOSTILE],
        "made_by": HOSTILE,
        "options": {HOSTILE: HOSTILE},
        "data": {"image_size": HOSTILE},
        "train": {"generator": HOSTILE, "steps": 200},
    }
    texts = ("layout", "command", "device", "state")
    summary = dict.fromkeys(texts, HOSTILE) | {"domains": [HOSTILE, HOSTILE], "maps": {HOSTILE: HOSTILE}}
    lines = [
        {"step": 1, f"generator/{HOSTILE}": 1.0, f"{HOSTILE}/l1": 1.0, f"validation/{HOSTILE}": 2.0},
        {"step": 1, "warning": HOSTILE, "advice": HOSTILE},
    ]
    page = page_of(make_run(folder, config=config, summary=summary, lines=lines, grids=[1]))
    assert len(page.of("script")) == 2
    assert len(page.of("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    # Told whole, in the header, commands, facts, settings, and as the name of a curve.
    for name in ("h1", "commands", "data", "networks", "settings", "curves", "scores", "footer"):
        assert HOSTILE in page.text[name], name
    assert any(HOSTILE in name for chart in page.data["charts"] for name in chart["curves"])
    assert html.escape(HOSTILE) in page.source


@pytest.mark.parametrize("name", [b"caf\xe9", "кириллица".encode(), b"a\nb"])
def test_names_of_folders_may_be_any(tmp_path, name):
    try:
        folder = make_run(tmp_path / name.decode("utf-8", "surrogateescape"), lines=LINES)
    except OSError:
        pytest.skip("this disk has no such names")
    assert page_of(folder).text["h1"]


def test_few_points_are_left_as_they_are():
    curve = [(step, 1.0 / (step + 1)) for step in range(MOST_POINTS)]
    assert thinned(curve) == curve


@pytest.mark.parametrize("count", [1001, 2000, 4999, 5000])
def test_thinning_keeps_the_mean_the_ends_and_what_is_large(count):
    values = [math.sin(index / 300) for index in range(count)]
    values[count // 2] = 90.0
    curve = [(50 * (index + 1), value) for index, value in enumerate(values)]
    thin = thinned(curve)
    every = math.ceil(count / 1000)
    assert len(thin) == math.ceil(count / every) <= 1000
    assert thin[-1][0] == curve[-1][0]
    assert [step for step, _ in thin] == sorted({step for step, _ in thin})
    sizes = [every] * (len(thin) - 1) + [count - every * (len(thin) - 1)]
    mean = sum(value * size for (_, value), size in zip(thin, sizes, strict=True)) / count
    assert mean == pytest.approx(sum(values) / count)
    assert min(v for _, v in thin) == pytest.approx(min(values), abs=0.02)
    assert 89 / every <= max(v for _, v in thin) <= 90
    assert thinned([(1, 1.0), (2, 3.0), (3, 5.0)], most=2) == [(2, 2.0), (3, 5.0)]


def test_a_chart_is_drawn_without_scripts():
    chart = Chart("generator", "Generator", "", {"l1": [(0, 4.0), (50, 1.0), (100, 2.0)]}, "losses")
    # From 0 to 4 over 178 to 8, and from step 0 to 100 over 52 to 392.
    assert 'points="52.0,8.0 222.0,135.5 392.0,93.0"' in drawn(chart)
    apart = {"a": [(0, 100.0), (100, 100.0)], "b": [(0, 1.0), (50, 1.0), (100, 10.0)]}
    assert 'points="52.0,178.0 222.0,178.0 392.0,93.0"' in drawn(Chart("generator", "", "", apart, "losses"))


@pytest.mark.parametrize("value", [0.0, -2.0, 1e99])
def test_a_single_or_level_value_can_be_drawn(value):
    for curve in ([(7, value)], [(7, value), (9, value)]):
        for kind in ("losses", "share", "score", "rate", "speed"):
            assert "nan" not in drawn(Chart("x", "x", "", {"x": curve}, kind))


ODD = [
    '{"step": 400, "los',
    "",
    "null",
    "[1, 2]",
    '"step"',
    "{}",
    '{"lr": 1}',
    '{"step": null, "lr": 1}',
    '{"step": "5", "lr": 1}',
    '{"step": -5, "lr": 1}',
    '{"step": 1.5, "lr": 1}',
    '{"step": true, "lr": 1}',
    '{"step": NaN, "lr": 1}',
    '{"step": 9, "lr": NaN, "generator/l1": Infinity, "fake_accuracy": null, "x": [1], "validation/l1": "low"}',
    '{"step": 9, "generator/l1": 1' + "0" * 400 + "}",
    "[" * 100_000,
    "\x00\ufffd\u2028",
]


def test_odd_lines_are_left_out(tmp_path):
    usual, odd = make_run(tmp_path / "usual", lines=LINES), make_run(tmp_path / "odd")
    lines = [json.dumps(line) for line in LINES]
    text = "\n".join([*ODD[:5], lines[0], *ODD[5:], *lines[1:], ODD[0]])
    (odd / "metrics.jsonl").write_bytes(text.encode() + b"\xff\xfe")
    assert read_run(odd).curves == read_run(usual).curves
    assert page_of(odd).data["charts"] == page_of(usual).data["charts"]


def test_steps_rise_whatever_the_order_of_lines(tmp_path):
    run = read_run(make_run(tmp_path, lines=[LINES[2], LINES[0], LINES[1]]))
    assert [step for step, _ in run.curves["lr"]] == [100, 200, 300]


def test_an_empty_folder_has_a_page(tmp_path):
    page = page_of(tmp_path)
    assert page.data == {"charts": [], "samples": [], "warnings": [], "running": False}
    assert "No sample grid yet" in page.text["samples"]
    assert "No metrics yet" in page.text["curves"]


@pytest.mark.parametrize("odd", [None, 5, "text", [], {}, [1, "x"], True, -1.5, {"a": 1}])
def test_settings_and_summaries_of_any_kind_are_borne(tmp_path, odd):
    config, summary = (dict.fromkeys(one, odd) for one in (CONFIG, SUMMARY | {"defaults": 1, "processes": 1}))
    page_of(make_run(tmp_path, config=config, summary=summary, lines=LINES + SCORES, grids=[5]))
    nested = {name: dict.fromkeys(one, odd) if isinstance(one, dict) else one for name, one in CONFIG.items()}
    page_of(make_run(tmp_path, config=nested, summary={"best": {"step": odd, "value": odd}}, lines=LINES))
    page_of(make_run(tmp_path, config=odd, summary=odd))


def test_what_is_no_sample_grid_is_left_out(tmp_path):
    folder = make_run(tmp_path, grids=[500, 1000000, 20])
    (folder / "samples" / ".i2i-1234.png").write_bytes(b"")
    (folder / "samples" / "notes.png").write_bytes(b"")
    (folder / "samples" / "1000001.png").write_bytes(b"torn")
    run = read_run(folder)
    assert list(run.samples) == [20, 500, 1000000, 1000001]
    assert "width" not in page_of(folder).of("img")[0], "nobody knows how large the torn one is"


def test_a_page_is_written_whole_or_not_at_all(full, monkeypatch):
    write_page(full)
    before = (full / "report.html").read_bytes()
    again = make_run(full, lines=[{"step": 400, "lr": 1.0}])

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page(again)
    assert (full / "report.html").read_bytes() == before
    assert not list(full.glob(".i2i-*"))
    monkeypatch.undo()
    write_page(again)
    assert (full / "report.html").read_bytes() != before


def test_writing_a_page_changes_nothing_else(full):
    before = {path: path.read_bytes() for path in full.rglob("*.*") if path.is_file()}
    write_page(full)
    write_page(full)
    after = {path: path.read_bytes() for path in full.rglob("*.*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} == {"report.html"}
    assert {path: after[path] for path in before} == before


def test_the_page_of_a_trained_run(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "boxes")
    page = page_of(folder)
    assert page.text["h1"] == "pix2pix: drawing → photo"
    assert "12 of 12" in page.text["header"]
    assert [step for step, _ in page.data["samples"]] == [0, 6, 12]
    keys = [chart.key for chart in charts_of(read_run(folder))]
    assert {"generator", "discriminator", "lr", "images_per_second"} <= set(keys)
    assert "--generator" in page.text["settings"]


needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium"),
]

# Opens the page, uses it as a reader would, and tells what is then to be seen.
DRIVER = """<!doctype html>
<iframe id="page" src="report.html#ADDRESS" width="WIDTH" height="900"></iframe>
<pre></pre>
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = document.getElementById("page");
frame.onload = async () => {
  const page = frame.contentDocument, one = (query) => page.querySelector(query), told = {};
  const grid = () => `${one("#grid").getAttribute("src")} ${one("figcaption").textContent} ${one("#slider").value}`;
  const curves = () => page.querySelectorAll("#chart2 .curve:not(.raw)").length;
  const press = (key) => page.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  await wait(100);
  told.first = grid();
  one("#slider").value = 0;
  one("#slider").dispatchEvent(new Event("input"));
  await wait(100);
  told.slid = grid();
  press("ArrowRight");
  await wait(100);
  told.right = grid();
  press("ArrowRight"); press("ArrowRight"); press("ArrowRight");
  await wait(100);
  told.end = grid();
  one("#play").click();
  await wait(3000);
  told.played = `${grid()} ${one("#play").textContent}`;
  told.curves = [curves()];
  one("#chart2 .legend button").click();
  told.curves.push(curves());
  one("#chart2 h3 button").click();
  one("#smooth").value = 0.5;
  one("#smooth").dispatchEvent(new Event("input"));
  await wait(400);
  told.address = frame.contentWindow.location.hash;
  one("#chart2 .legend button").click();
  const box = one("#chart2 svg").getBoundingClientRect();
  const at = { clientX: box.left + 50 + (box.width - 62) * 0.52, clientY: box.top + 50 };
  one("#chart2 svg").dispatchEvent(new PointerEvent("pointermove", at));
  told.hover = [...page.querySelectorAll(".at")].map((element) => element.textContent);
  one("#chart2 svg").dispatchEvent(new PointerEvent("click", at));
  await wait(100);
  told.clicked = grid();
  told.beyond = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  document.querySelector("pre").textContent = JSON.stringify(told);
};
</script>"""


def browse(address: str, tmp_path: Path, *flags: str) -> str:
    """The document after its scripts have run; fails where one of them did."""
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command += ["--allow-file-access-from-files", "--enable-logging=stderr", *flags, "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line and "sandboxed" not in line]
    return done.stdout


class TestBrowser:
    pytestmark = needs_browser

    @pytest.mark.parametrize("width", [1200, 390])
    def test_grids_and_curves_can_be_used(self, full, tmp_path, width):
        write_page(full)
        driver = DRIVER.replace("ADDRESS", "step=190").replace("WIDTH", str(width))
        (full / "driver.html").write_text(driver)
        shown = browse((full / "driver.html").as_uri(), tmp_path, "--virtual-time-budget=20000")
        told = json.loads(html.unescape(shown.split("<pre>")[1].split("</pre>")[0]))
        grids = [f"samples/000{step}.png step {step} {index}" for index, step in enumerate((100, 200, 300))]
        assert told == {
            "first": grids[1],
            "slid": grids[0],
            "right": grids[1],
            "end": grids[2],
            "played": f"{grids[2]} ▶",
            "curves": [2, 1],
            "address": "#smooth=0.5&off=generator%2Fadversarial&log=generator",
            "hover": ["step 200"] * 7,
            "clicked": grids[1],
            "beyond": 0,
        }

    @pytest.mark.parametrize("what", ["empty", "hostile", "trained"])
    def test_no_script_fails(self, tmp_path, run, what):
        folder = tmp_path / "run"
        if what == "trained":
            shutil.copytree(run, folder)
        else:
            bad = [{"step": 1, f"generator/{HOSTILE}": 1.0, f"{HOSTILE}/x": 0.0}, {"step": 1, "warning": HOSTILE}]
            make_run(folder, lines=bad if what == "hostile" else (), grids=[3] if what == "hostile" else ())
        write_page(folder)
        shown = Page(browse((folder / "report.html").as_uri(), tmp_path, "--virtual-time-budget=3000"))
        charts = len(charts_of(read_run(folder)))
        assert (charts == 0) == (what == "empty")
        assert sum(a.get("class") == "legend" for a in shown.of("div")) == charts
        assert len(shown.of("script")) == 2

    def test_without_scripts_the_curves_are_drawn_and_the_grids_linked(self, full, tmp_path):
        write_page(full)
        (full / "frame.html").write_text(
            """<iframe sandbox="allow-same-origin" src="report.html" width="800"></iframe><pre></pre><script>
            const frame = document.querySelector("iframe");
            frame.onload = () => {
              const all = (query) => [...frame.contentDocument.querySelectorAll(query)];
              const seen = (query) => all(query).filter((element) => element.getClientRects().length).length;
              const grid = all("#grid")[0].naturalWidth;
              const told = ["svg polyline", "noscript a", ".scripted", ".command"].map(seen);
              document.querySelector("pre").textContent = JSON.stringify([grid, ...told]);
            };</script>"""
        )
        shown = browse((full / "frame.html").as_uri(), tmp_path, "--virtual-time-budget=5000")
        told = json.loads(shown.split("<pre>")[1].split("</pre>")[0])
        curves = sum(len(chart.curves) for chart in charts_of(read_run(full)))
        assert told == [60, curves, 3, 0, 5]
