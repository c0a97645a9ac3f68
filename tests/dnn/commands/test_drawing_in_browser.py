"""The drawing page in Chromium, with events of a mouse, a pen, a finger and a keyboard."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import skip_or_fail
from helpers import MAX_SECONDS, others_slow
from PIL import Image

from dnn.datasets import load_dataset, load_image_folder

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ANSWER_READY, COMPARISON_READY = "#answer[aria-busy=false]", "#comparison[aria-busy=false] #backends tr"
NO_DIGIT = "\u2013"  # shown if no digit is recognised


def line(*corners):
    """Return points (n, 2) on straight lines between corners, like those of a hand-drawn stroke."""
    steps = np.linspace(0, 1, 8)[:, None]
    pairs = zip(np.array(corners[:-1], float), np.array(corners[1:], float), strict=True)
    return np.concatenate([a + steps * (b - a) for a, b in pairs])


ANGLES = np.linspace(-np.pi / 2, 1.5 * np.pi, 24)
ZERO_STROKES = [np.stack([14 + 5 * np.cos(ANGLES), 14 + 8 * np.sin(ANGLES)], axis=1)]
SEVEN_STROKES = [line((8, 6), (20, 6), (13, 22)), line((12, 14), (19, 14))]


@pytest.fixture(scope="module", autouse=True)
def browser():
    """Skip without the browser, or fail if DNN_REQUIRE names it."""
    try:
        import playwright.async_api  # noqa: F401
        import skimage  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        skip_or_fail("chromium", f"{error}")
    if not Path(CHROMIUM).exists():
        skip_or_fail("chromium", f"{CHROMIUM} does not exist; apt-get install chromium")


@asynccontextmanager
async def open_page(url, faults=(), **settings):
    """A browser with the page; what goes wrong in it fails the test."""
    from playwright.async_api import async_playwright

    async with async_playwright() as programs:
        chromium = await programs.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await chromium.new_page(**{"viewport": {"width": 1100, "height": 1000}, **settings})
        page.set_default_timeout(1000 * MAX_SECONDS)
        found = []
        page.on("pageerror", lambda error: found.append(str(error)))
        page.on("request", lambda r: r.url.startswith((url, "data:")) or found.append(r.url))
        await page.goto(url)
        await page.wait_for_selector(ANSWER_READY)
        yield page
        await chromium.close()
        assert found == []


class Hand:
    """Draws on the page's paper, by the browser's own input events."""

    def __init__(self, page, kind="mouse"):
        self.page, self.kind = page, kind

    async def draw(self, strokes):
        """Strokes (n, 2) each, in 28ths of the paper; returns when they are answered."""
        box = await self.page.locator("#paper").bounding_box()
        tool = await self.page.context.new_cdp_session(self.page)
        for stroke in strokes:
            points = [
                (box["x"] + x * box["width"] / 28, box["y"] + y * box["height"] / 28) for x, y in stroke
            ]
            # All events at once: the browser coalesces moves within a frame, as for a fast hand.
            await asyncio.gather(*(tool.send(*event) for event in self.events(points)))
        await tool.detach()
        await self.page.wait_for_selector(ANSWER_READY)

    def events(self, points):
        if self.kind == "touch":
            for i, (x, y) in enumerate(points):
                yield "Input.dispatchTouchEvent", {
                    "type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]
                }  # fmt: skip
            yield "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
            return
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
            more = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": self.kind}
            yield "Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more}


async def status_text(page):
    return await page.locator("#status").inner_text()


# ----- using the page


@pytest.mark.parametrize("kind", others_slow(["mouse", "pen", "touch"], ["touch"]))
def test_draw_with_mouse_pen_and_finger(url, kind):
    async def scenario():
        async with open_page(url, has_touch=kind == "touch", viewport={"width": 390, "height": 600}) as page:
            assert await status_text(page) == "Draw one digit, from 0 to 9."
            assert await page.locator("#digit").inner_text() == NO_DIGIT
            await Hand(page, kind).draw(ZERO_STROKES)
            assert (await status_text(page)).startswith("0, probability ")
            assert await page.locator("#bars .best").inner_text() != ""
            assert await page.evaluate("scrollY") == 0  # drawing does not scroll
            assert "8 by 8" in await page.locator("#seen").get_attribute("aria-label")
            await page.wait_for_selector(COMPARISON_READY)
            assert "holds" in await page.locator("#backends-text").inner_text()
            await Hand(page, kind).draw([line((3, 14), (25, 14))])
            assert not (await status_text(page)).startswith("0, probability ")
            await page.locator("#undo").click()
            await page.wait_for_selector(ANSWER_READY)
            assert (await status_text(page)).startswith("0, probability ")
            await page.locator("#undo").click()
            assert await page.locator("#digit").inner_text() == NO_DIGIT

    asyncio.run(scenario())


def test_draw_with_the_keyboard(url):
    async def scenario():
        async with open_page(url) as page:
            await page.keyboard.press("Tab")
            await page.keyboard.press("ArrowRight")
            for key in [*["Shift+ArrowUp"] * 3, "Space", *["Shift+ArrowDown"] * 6, "Space"]:
                await page.keyboard.press(key)
            await page.wait_for_selector(ANSWER_READY)
            assert (await status_text(page)).startswith("1, probability ")
            await page.keyboard.press("Control+z")
            assert await page.locator("#digit").inner_text() == NO_DIGIT

    asyncio.run(scenario())


def test_rejected_drawings_are_explained(url, tmp_path):
    async def scenario():
        async with open_page(url) as page:
            await Hand(page).draw([line((3, 14), (25, 14))])  # a horizontal line
            assert "no digit: it is too wide" in await status_text(page)
            assert await page.locator("#digit").inner_text() == NO_DIGIT
            (tmp_path / "a.png").write_bytes(b"no picture")
            await page.locator("#file").set_input_files(tmp_path / "a.png")
            await page.wait_for_function(
                "() => document.getElementById('status').innerText.includes('cannot be read as an image')"
            )

    asyncio.run(scenario())


def test_open_a_picture_and_save_its_label(url, page_folder, tmp_path):
    digits = load_dataset("digits")
    nine = int(np.flatnonzero(digits.y_test == 9)[0])
    picture = Image.fromarray(255 - digits.x_test[nine].reshape(8, 8)).resize((160, 160))
    picture.save(tmp_path / "nine.png")

    async def scenario():
        async with open_page(url) as page:
            await page.locator("#file").set_input_files(tmp_path / "nine.png")
            await page.locator("#bars .best").wait_for()
            await page.locator("#label").select_option("9")
            await page.locator("#keep button").click()
            await page.wait_for_function(
                "() => document.getElementById('kept').innerText.startsWith('Saved as')"
            )

    asyncio.run(scenario())
    folder = load_image_folder(page_folder / "run-drawings", (8, 8), grey=True)
    (saved,) = folder.x[folder.y == folder.classes.index("9")]
    assert np.corrcoef(saved.ravel(), digits.x_test[nine])[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 1100), ("light", 390)])
def test_page_layout(scheme, width, url, tmp_path):
    """The page does not overflow horizontally, and follows the colour scheme."""
    file = tmp_path / "page.png"

    async def scenario():
        async with open_page(url, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
            await Hand(page).draw(SEVEN_STROKES)
            await page.wait_for_selector(COMPARISON_READY)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.screenshot(path=file, full_page=True)

    asyncio.run(scenario())
    brightness = np.asarray(Image.open(file).convert("L")).mean()
    assert brightness < 60 if scheme == "dark" else brightness > 200
