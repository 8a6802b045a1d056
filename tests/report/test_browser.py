"""The report in a browser: its scripts, and what it shows without them."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from i2i.report import write_comparison, write_page
from i2i.report.charts import charts_of
from i2i.report.run_folder import read_run
from support.report import DISTANCES, HOSTILE, LINES, SUMMARY, Page, make_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]

# Opens the page, uses it as a reader would, and reports what is then visible.
DRIVER = """<!doctype html>
<iframe id="page" src="report.html#step=190" width="390" height="900"></iframe>
<pre></pre>
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = document.getElementById("page");
frame.onload = async () => {
  const page = frame.contentDocument, one = (query) => page.querySelector(query), seen = {};
  const grid = () => `${one(".grid").getAttribute("src")} ${one("figcaption").textContent} ${one("#slider").value}`;
  const curves = () => page.querySelectorAll("#chart2 .curve:not(.raw)").length;
  const press = (key) => page.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  await wait(100);
  seen.first = grid();
  one("#slider").value = 0;
  one("#slider").dispatchEvent(new Event("input"));
  await wait(100);
  seen.slid = grid();
  press("ArrowRight");
  await wait(100);
  seen.right = grid();
  press("ArrowRight"); press("ArrowRight"); press("ArrowRight");
  await wait(100);
  seen.end = grid();
  one("#play").click();
  await wait(3000);
  seen.played = `${grid()} ${one("#play").textContent}`;
  seen.curves = [curves()];
  one("#chart2 .legend button").click();
  seen.curves.push(curves());
  one("#chart2 h3 button").click();
  one("#smooth").value = 0.5;
  one("#smooth").dispatchEvent(new Event("input"));
  await wait(400);
  seen.hash = frame.contentWindow.location.hash;
  one("#chart2 .legend button").click();
  const box = one("#chart2 svg").getBoundingClientRect();
  const at = { clientX: box.left + 50 + (box.width - 62) * 0.52, clientY: box.top + 50 };
  one("#chart2 svg").dispatchEvent(new PointerEvent("pointermove", at));
  seen.hover = [...page.querySelectorAll(".at")].map((element) => element.textContent);
  one("#chart2 svg").dispatchEvent(new PointerEvent("click", at));
  await wait(100);
  seen.clicked = grid();
  seen.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  document.querySelector("pre").textContent = JSON.stringify(seen);
};
</script>"""


def browse(url: str, tmp_path: Path, *flags: str) -> str:
    """The document after its scripts have run; fails if one of them does."""
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--allow-file-access-from-files", "--enable-logging=stderr", *flags, "--dump-dom", url]
    process = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert not [line for line in process.stderr.splitlines() if "CONSOLE" in line and "sandboxed" not in line]
    return process.stdout


def test_grids_and_curves_can_be_used_on_a_narrow_screen(full, tmp_path):
    write_page(full)
    (full / "driver.html").write_text(DRIVER)
    document = browse((full / "driver.html").as_uri(), tmp_path, "--virtual-time-budget=20000")
    seen = json.loads(html.unescape(document.split("<pre>")[1].split("</pre>")[0]))
    grids = [f"samples/000{step}.png step {step} {index}" for index, step in enumerate((100, 200, 300))]
    assert seen == {
        "first": grids[1],
        "slid": grids[0],
        "right": grids[1],
        "end": grids[2],
        "played": f"{grids[2]} ▶",
        "curves": [2, 1],
        "hash": "#smooth=0.5&off=generator%2Fadversarial&log=generator",
        "hover": ["step 200"] * 7,
        "clicked": grids[1],
        "overflow": 0,
    }


def test_intervals_are_drawn_around_their_curves_and_stand_in_the_legend(tmp_path):
    folder = make_run(tmp_path / "run", lines=DISTANCES)
    write_page(folder)
    page = Page(browse((folder / "report.html").as_uri(), tmp_path, "--virtual-time-budget=3000"))
    bands = [path for path in page.of("path") if (path.get("class") or "").startswith("band")]
    assert [band["class"] for band in bands] == ["band c1", "band c2"]  # those of the directions; the mean has none
    heights = [[float(point.split(" ")[1]) for point in band["d"].strip("MZ").split("L")] for band in bands]
    assert all(low > high for band in heights for low, high in zip(band[:3], band[:2:-1], strict=True))
    assert all(14 <= height <= 196 for band in heights for height in band)  # within the axes
    legend = page.text["curves"]
    assert "mean 0.45" in legend
    assert "map → sat 0.3 (0.2 to 0.5)" in legend


@pytest.mark.parametrize("hostile", [False, True])
def test_empty_and_hostile_runs_raise_no_script_error(tmp_path, hostile):
    folder = tmp_path / "run"
    lines = [{"step": 1, f"generator/{HOSTILE}": 1.0, f"{HOSTILE}/x": 0.0}, {"step": 1, "warning": HOSTILE}]
    make_run(folder, lines=lines if hostile else (), grids=[3] if hostile else ())
    write_page(folder)
    page = Page(browse((folder / "report.html").as_uri(), tmp_path, "--virtual-time-budget=3000"))
    assert sum(a.get("class") == "legend" for a in page.of("div")) == (2 if hostile else 0)
    assert len(page.of("script")) == 2


def test_without_scripts_grids_values_and_commands_are_there_and_controls_are_not(full, tmp_path):
    write_page(full)
    (full / "frame.html").write_text(
        """<iframe sandbox="allow-same-origin" src="report.html" width="800"></iframe><pre></pre><script>
        const frame = document.querySelector("iframe");
        frame.onload = () => {
          const all = (query) => [...frame.contentDocument.querySelectorAll(query)];
          const visible = (query) => all(query).filter((element) => element.getClientRects().length).length;
          const grid = all(".grid")[0].naturalWidth;
          const counts = [".legend li", "noscript a", ".scripted", ".command"].map(visible);
          document.querySelector("pre").textContent = JSON.stringify([grid, ...counts]);
        };</script>"""
    )
    document = browse((full / "frame.html").as_uri(), tmp_path, "--virtual-time-budget=5000")
    charts = charts_of({"": read_run(full)})
    curves = sum(len(chart.curves) for chart in charts)
    assert json.loads(document.split("<pre>")[1].split("</pre>")[0]) == [60, curves, 3, 0, 5]


COMPARISON_DRIVER = """<!doctype html>
<iframe id="page" src="comparison.html#step=190" width="390" height="900"></iframe>
<pre></pre>
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = document.getElementById("page");
frame.onload = async () => {
  const page = frame.contentDocument, all = (query) => [...page.querySelectorAll(query)], seen = {};
  const colour = (image) => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.drawImage(image, 0, 0);
    return canvas.getImageData(5, 5, 1, 1).data[0];
  };
  const grids = () => all("#grids output").map((at, i) => `${at.textContent} ${colour(all(".grid")[i])}`);
  const curves = () => all("#chart2 .curve:not(.raw)").map((path) => path.getAttribute("class"));
  await wait(100);
  seen.first = grids();
  all("#slider")[0].value = 0;
  all("#slider")[0].dispatchEvent(new Event("input"));
  await wait(100);
  seen.slid = grids();
  seen.curves = curves();
  all("#runs button")[0].click();
  seen.hidden = curves();
  seen.figures = all("#grids figure").map((figure) => figure.hidden);
  await wait(400);
  seen.hash = frame.contentWindow.location.hash;
  all("#chart2 .legend button")[0].click();
  seen.shown = curves();
  seen.earlier = all("#earlier")[0].hidden;
  seen.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  document.querySelector("pre").textContent = JSON.stringify(seen);
};
</script>"""


def test_the_runs_of_a_comparison_can_be_stepped_through_and_hidden(full, tmp_path):
    other = make_run(tmp_path / ("long" * 50), lines=LINES[:2], grids=(20, 200), summary=SUMMARY)
    write_comparison([full, other], tmp_path / "comparison.html")
    (tmp_path / "driver.html").write_text(COMPARISON_DRIVER)
    document = browse((tmp_path / "driver.html").as_uri(), tmp_path, "--virtual-time-budget=20000")
    assert json.loads(html.unescape(document.split("<pre>")[1].split("</pre>")[0])) == {
        "first": ["200 200", "200 200"],  # the red of a grid is its step
        "slid": ["100 100", "20 20"],
        "curves": ["curve c0", "curve c1"],
        "hidden": ["curve c1"],
        "figures": [True, False],
        "hash": "#step=20&smooth=0&off=maps",
        "shown": ["curve c0", "curve c1"],
        "earlier": True,
        "overflow": 0,
    }


@pytest.mark.parametrize("hostile", [False, True])
def test_empty_and_hostile_comparisons_raise_no_script_error(tmp_path, hostile):
    name = HOSTILE.replace("/", "\N{FRACTION SLASH}") if hostile else "run"
    lines = [{"step": 1, f"generator/{HOSTILE}": 1.0}] if hostile else ()
    runs = [make_run(tmp_path / parent / name, lines=lines, grids=[3] if hostile else ()) for parent in "ab"]
    write_comparison(runs, tmp_path / "comparison.html")
    page = Page(browse((tmp_path / "comparison.html").as_uri(), tmp_path, "--virtual-time-budget=3000"))
    assert len(page.of("script")) == 2
    assert page.text["runs"].count(name) == 2
