"""The page of `i2i serve` in a browser: translate, draw and edit as people do."""

from __future__ import annotations

import io
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from i2i.images.decoded import DecodedImage
from i2i.images.writing import encode
from i2i.web import Models, make_app
from i2i.web.models import offered_models
from support.images import noise
from web.conftest import Served

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """The page, which writes no errors to the console and sends no requests to other hosts."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((served.url, "blob:", "data:")) else errors.append(r.url))
    page.goto(served.url)
    page.locator("#models label").first.wait_for()
    yield page
    page.close()
    assert not [error for error in errors if "status of 422" not in error]  # which the page shows


def stroke(page: Any, canvas: str, *points: tuple[float, float]) -> None:
    box = page.locator(canvas).bounding_box()
    first, *others = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def settled(page: Any, selector: str, before: str | None) -> str:
    """The `src` of an image once it is another one."""
    page.locator(f'{selector}[src]:not([src="{before}"])').wait_for()
    found: str = page.locator(selector).get_attribute("src")
    return found


def test_images_are_translated_compared_and_downloaded(page: Any, tmp_path: Path) -> None:
    files = []
    for name, size in (("a<b>.png", 40), ("c.png", 50)):
        files.append(
            {"name": name, "mimeType": "image/png", "buffer": encode(DecodedImage(noise(size, 60, 3)), ".png")}
        )
    page.set_input_files("#files", [*files, {"name": "d.png", "mimeType": "image/png", "buffer": b"no image"}])
    page.get_by_text("3 of 3").wait_for()
    assert page.locator(".result .name").all_text_contents() == ["d.png", "c.png", "a<b>.png"]
    assert "not an image that can be read" in page.locator(".result.failed .time").text_content()
    slider = page.locator(".compare input").first
    slider.fill("80")
    assert page.locator(".compare").first.get_attribute("style") == "--at: 80%;"
    with page.expect_download() as download:
        page.get_by_text("Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["a<b>-boxes.png", "c-boxes.png"]
        sizes = {Image.open(io.BytesIO(archive.read(name))).size for name in archive.namelist()}
    assert sizes == {(60, 40), (60, 50)}
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".result").count() == 0


def test_a_drawing_is_translated_while_it_is_drawn(page: Any) -> None:
    page.get_by_role("tab", name="Draw").click()
    first = settled(page, "#drawn", None)
    stroke(page, "#canvas", (0.2, 0.2), (0.8, 0.3), (0.5, 0.9))
    second = settled(page, "#drawn", first)
    assert "ms" in page.locator("#latency").text_content()
    drawn = page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("Control+z")
    settled(page, "#drawn", second)
    undone = page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("Control+Shift+Z")
    assert undone != drawn == page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("g")
    stroke(page, "#canvas", (0.05, 0.05))
    corner = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]"
    assert page.locator("#canvas").evaluate(corner) == [0, 0, 0, 255]
    page.get_by_role("button", name="Empty").click()
    assert page.locator("#canvas").evaluate(corner) == [255, 255, 255, 255]
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("tab", name="Edit").click()
    page.get_by_role("tab", name="Draw").click()
    assert page.locator("#canvas").evaluate(corner) == [0, 0, 0, 255]


def test_an_image_is_edited_by_strokes(page: Any) -> None:
    page.get_by_role("tab", name="Edit").click()
    first = settled(page, "#edited", None)
    for brush in ("Colour", "Sketch", "Warp"):
        page.get_by_role("button", name=brush, exact=True).click()
        stroke(page, "#strokes", (0.3, 0.4), (0.7, 0.6))
    page.locator("#candidates button").nth(7).wait_for()
    second = settled(page, "#edited", first)
    page.locator("#candidates button").nth(5).click()
    third = settled(page, "#edited", second)
    page.locator("#morph").fill("0")
    assert page.locator("#outcome").get_attribute("src") not in (second, third)
    photo = {"name": "p.png", "mimeType": "image/png", "buffer": encode(DecodedImage(noise(30, 50, 3)), ".png")}
    page.set_input_files("#photo", photo)
    shown, until = page.locator("#outcome"), time.monotonic() + 30
    while shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") != [50, 30]:
        assert time.monotonic() < until


@pytest.mark.parametrize("tab", ["images", "draw", "edit"])
def test_a_phone_shows_all_of_it(browser: Any, served: Served, tab: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True, color_scheme="dark")
    page.goto(f"{served.url}/#{tab}")
    page.locator(f"#{tab}:not([hidden])").wait_for()
    page.locator("#models label").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 28)"
    page.close()


def test_the_page_asks_for_the_token(browser: Any, run: Path) -> None:
    server = uvicorn.Server(
        uvicorn.Config(make_app(Models(offered_models([str(run)])), token="secret"), port=0, log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    page = browser.new_page()
    page.goto(f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}")
    page.locator("#token").fill("wrong")
    page.get_by_role("button", name="Go on").click()
    page.locator("#token").fill("secret")
    page.get_by_role("button", name="Go on").click()
    page.locator("#models label", has_text="boxes").wait_for()
    page.close()
    server.should_exit = True
    thread.join(20)
