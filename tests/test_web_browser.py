"""The real pages in a real browser, by role and label: what a new user does, without reading anything.

Debian's chromium and playwright's driver are needed; where one is missing these are skipped, and say so. Jobs paint a
picture of their seed (`tests/web_toy.py`), so that no model is waited for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import drawn
from tests.web_browser import CHROMIUM, PATIENCE, Studio

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


def put_photo(page: Any, photo: Path) -> None:
    page.get_by_label("Drop a picture here").or_(page.get_by_label("Drop pictures here")).first.set_input_files(photo)
    page.locator(".held img").first.wait_for()


def until_done(page: Any) -> None:
    page.get_by_text("done", exact=True).first.wait_for()


def test_a_photo_is_stylized_found_by_score_and_made_again(page: Any, photo: Path) -> None:
    page.get_by_role("link", name="Stylize").click()
    page.get_by_role("button", name="Stylize").click()
    page.get_by_text("1 thing to put right").wait_for()
    put_photo(page, photo)
    page.get_by_label("Count", exact=True).fill("2")
    page.get_by_text("seed", exact=False).first.wait_for()
    page.locator("#yaml-text").get_by_text("count: 2").wait_for()
    page.get_by_role("button", name="Stylize").click()
    page.get_by_role("heading", name=re.compile("Stylize \\d+")).wait_for()
    until_done(page)  # by an event, without loading the page again
    page.reload()
    page.get_by_text("a spot").wait_for()
    page.get_by_role("link", name="Gallery").click()
    page.get_by_text("By score and date").click()
    page.get_by_label("Score", exact=True).select_option("style")
    page.get_by_label("Score from").fill("0.4")
    page.get_by_label("Score from").press("Tab")
    page.get_by_text("1 picture", exact=True).wait_for()
    page.locator("a.shot").first.click()
    page.get_by_role("link", name="Use its settings").click()
    page.locator(".held img").wait_for()
    assert page.get_by_label("Count", exact=True).input_value() == "1"


def test_a_mask_is_painted_on_the_photo(page: Any, photo: Path, place: Studio) -> None:
    page.get_by_role("link", name=re.compile("^Edit ")).click()
    put_photo(page, photo)
    page.get_by_label("Prompt", exact=True).fill("a red hat")
    page.get_by_label("Method").select_option("inpaint")
    page.get_by_label("Image guidance scale", exact=True).wait_for(state="hidden")
    canvas = page.get_by_role("img", name="Paint what is to change")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Use this mask").click()
    page.locator('[data-name="mask"] .held img').wait_for()
    name = page.locator('input[name="mask"]').input_value()
    with Image.open(place.folder / name) as mask:
        assert mask.size == (96, 64)
        assert [mask.convert("RGB").getpixel(place) for place in ((48, 32), (2, 2))] == [(255,) * 3, (0,) * 3]
    page.get_by_role("button", name="Edit", exact=True).click()
    until_done(page)


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A folder of four pictures."""
    folder = tmp_path / "birds"
    folder.mkdir()
    for number in range(4):
        drawn(colour=f"#{number}0{number}0ff").save(folder / f"{number}.png")
    return folder


def test_the_queue_is_steered(page: Any, place: Studio) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("It is paused").wait_for()
    for _ in range(2):
        page.goto("/nap/")
        page.get_by_role("button", name="Nap").click()
        page.get_by_text("waiting", exact=True).wait_for()
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name=re.compile("Sooner")).last.click()
    page.get_by_role("button", name=re.compile("Cancel nap")).first.click()
    page.get_by_text("cancelled", exact=True).first.wait_for()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Nothing waits.").wait_for()


def test_the_plug_is_pulled_and_the_job_goes_on(page: Any, place: Studio) -> None:
    page.goto("/siege/")
    page.get_by_label("Steps", exact=True).fill("40")
    page.get_by_label("Seconds", exact=True).fill("0.2")
    page.get_by_role("button", name="Siege").click()
    page.get_by_text(re.compile(r"^[3-9] of 40")).wait_for()
    number = page.url.rstrip("/").rpartition("/")[2]
    place.pull_the_plug()
    place.start()
    page.goto(f"{place.address}jobs/{number}/")
    until_done(page)
    steps = (place.folder / "out" / f"siege-{number}" / "steps.txt").read_text().split()
    assert steps == [str(one) for one in range(40)]
    page.goto(place.address)


def test_home_begins_with_what_is_in_hand(page: Any, photo: Path) -> None:
    page.get_by_text("Models at hand").wait_for()  # the doctor, a moment later
    page.get_by_label("Drop it here").set_input_files(photo)
    offered = page.locator("[data-begin]").get_by_role("link")
    offered.first.wait_for()
    assert {"Caption", "Ask", "Stylize", "Transfer", "Edit"} <= {
        text.split("\n")[0] for text in offered.all_inner_texts()
    }
    offered.filter(has_text="Ask a question").click()
    page.locator(".held img").wait_for()
    page.get_by_role("link", name="Home", exact=True).click()
    page.get_by_label("What the picture should show").fill("a green house")
    page.get_by_role("button", name="On to Generate").click()
    assert page.get_by_label("Prompt", exact=True).input_value() == "a green house"


def train(page: Any, folder: Path, network: str, kimg: str) -> None:
    """Put a folder in, hear what is in it, and start."""
    page.goto("/train/")
    page.get_by_label("Drop a folder here").set_input_files(folder)
    page.locator(".look").get_by_text("all 96 x 64").wait_for()
    page.get_by_label("Network").select_option(network)
    page.get_by_text("For GANs").click()
    page.get_by_label("R1 gamma", exact=True).wait_for()
    page.get_by_label("Kimg", exact=True).fill(kimg)
    page.get_by_role("button", name="Train", exact=True).click()


def test_a_training_is_watched_stopped_continued_and_drawn_with(page: Any, birds: Path, place: Studio) -> None:
    train(page, birds, "cgan", "20")
    page.get_by_role("img", name=re.compile("^losses: critic")).wait_for()  # curves and grids, while it runs
    frames = page.get_by_role("slider", name="Samples through the training")
    frames.wait_for()
    frames.fill("0")
    page.get_by_role("img", name="Samples at 0 kimg").first.wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("cancelled", exact=True).wait_for()
    number = page.url.rstrip("/").rpartition("/")[2]
    page.get_by_role("button", name="Go on").wait_for()
    page.goto(f"/train/?job={number}&go_on={number}")
    page.get_by_label("Resolution").fill("128")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("and stays so when it goes on").wait_for()
    page.get_by_label("Resolution").fill("64")
    page.get_by_label("Kimg", exact=True).fill("1")
    page.get_by_role("button", name="Train", exact=True).click()
    until_done(page)
    page.get_by_role("link", name="Draw with it").click()
    page.get_by_label("Label", exact=True).select_option("coat")
    assert page.get_by_label("Prompt", exact=True).count() == 0
    page.locator("#yaml-text").get_by_text("label: coat").wait_for()
    page.get_by_role("button", name="Generate").click()
    until_done(page)


def test_models_are_named_used_and_deleted(page: Any, birds: Path) -> None:
    train(page, birds, "control-gan", "1")
    until_done(page)
    page.get_by_role("link", name="The model's card").click()
    page.get_by_label("Call it").fill("Hats")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("heading", name="Hats").wait_for()
    page.get_by_text("Draws clothes.").wait_for()
    page.get_by_role("link", name="Inference").click()
    page.get_by_role("navigation", name="Model").get_by_role("link", name="Hats").click()
    page.get_by_label("hat", exact=True).select_option("surely with")
    page.locator("#yaml-text").get_by_text("hat=+1").wait_for()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("link", name="What Hats draws").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete this model for good").click()
    page.get_by_role("heading", name="Bring one in").wait_for()
    assert page.get_by_text("Hats").count() == 0
    page.get_by_label("Hub id").fill("nobody/nothing")
    page.get_by_role("button", name="Fetch").click()
    page.get_by_text("HF_HUB_OFFLINE is set").wait_for()


def test_a_style_is_transferred_beside_its_photo_and_painting(page: Any, photo: Path) -> None:
    page.get_by_role("link", name="Style Transfer", exact=True).click()
    zones = page.get_by_label(re.compile("^Drop a picture here"))
    for number in range(2):
        zones.nth(number).set_input_files(photo)
        page.locator(".held img").nth(number).wait_for()
    page.get_by_label("Style weight, by a slider").fill("1")
    assert page.get_by_label("Style weight", exact=True).input_value() == "10"
    page.get_by_label("Iterations", exact=True).fill("0")
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.locator("#wrong-iterations").wait_for()
    page.get_by_label("Iterations", exact=True).fill("5")
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("region", name="Result").get_by_role("heading", name="Pictures").wait_for()
    assert page.url.endswith("/transfer/")


def test_a_comparison_is_read_while_it_runs(page: Any) -> None:
    page.goto("/compare/")
    page.get_by_label("Base", exact=True).fill("kind: generate\nprompt: a cat")
    page.get_by_label("Axes", exact=True).fill("steps: [2, 4]")
    page.get_by_label("Seeds", exact=True).fill("1\n2\n3")
    page.get_by_role("button", name="Compare").click()
    page.get_by_text(re.compile(r"so far, [2-5] cells in")).wait_for()
    until_done(page)
    page.get_by_text("CLIP-T: steps 4 wins").wait_for()
    row = page.get_by_role("region", name="Scores of the candidates").get_by_role("row", name=re.compile("^steps 4"))
    assert "best" in row.inner_text()


def test_a_form_is_kept_and_a_photo_taken(page: Any, browser: Any) -> None:
    page.goto("/edit/")
    page.get_by_label("Prompt", exact=True).fill("make it night")
    page.get_by_text("Presets").click()
    page.get_by_label("Keep this form as").fill("Night")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.goto("/edit/")
    page.get_by_role("link", name="Night", exact=True).click()
    assert page.get_by_label("Prompt", exact=True).input_value() == "make it night"
    page.get_by_role("button", name="Take a photo").first.click()
    page.locator("#camera video").evaluate("v => new Promise((f) => v.videoWidth ? f() : v.onloadeddata = () => f())")
    page.get_by_role("button", name="Take it").click()
    page.locator(".held img").wait_for()
    page.get_by_role("button", name="Delete the preset Night").click()
    page.get_by_label("Prompt", exact=True).wait_for()
    assert page.get_by_role("link", name="Night", exact=True).count() == 0


def test_the_gallery_compares_chains_and_bins(page: Any, photo: Path) -> None:
    page.goto("/stylize/")
    put_photo(page, photo)
    page.get_by_label("Count", exact=True).fill("2")
    page.get_by_role("button", name="Stylize").click()
    until_done(page)
    page.locator("a.shot").first.click()
    page.get_by_role("heading", name="The chain it came from").wait_for()
    page.get_by_role("link", name="Edit it").click()
    page.get_by_label("Prompt", exact=True).fill("make it night")
    page.get_by_role("button", name="Edit", exact=True).click()
    until_done(page)
    page.locator("a.shot").first.click()
    page.get_by_role("heading", name="The chain it came from").wait_for()
    assert page.locator(".chain > li").count() == 3  # photo, its stylized picture, this one
    with page.expect_download() as found:
        page.get_by_role("link", name="Download").click()
    with Image.open(found.value.path()) as picture:
        assert "make it night" in picture.info["easel"]
    page.get_by_role("link", name="Gallery").click()
    boxes = page.get_by_role("checkbox")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare two").click()
    page.get_by_role("slider").fill("20")
    page.get_by_role("link", name="Gallery").click()
    before = int(page.get_by_text(re.compile(r"^\d+ pictures$")).inner_text().split()[0])
    boxes.nth(0).check()
    page.get_by_role("button", name="Into the bin").click()
    page.get_by_text(f"{before - 1} picture").first.wait_for()
    page.get_by_role("link", name="Bin (1)").click()
    page.get_by_role("button", name="Put back").click()
    page.get_by_text("It is empty.").wait_for()


def test_logs_are_searched(page: Any) -> None:
    page.goto("/nap/")
    page.get_by_role("button", name="Nap").click()
    until_done(page)
    lines = page.locator("#log > span")
    page.get_by_label("Search the log").fill("attempt")
    lines.filter(has_text="begins").first.wait_for()
    assert lines.filter(has_text="done").first.is_hidden()
    page.get_by_role("link", name="Logs").click()
    page.get_by_label("Words").fill("sleeping")
    page.get_by_text("begins (attempt 1)").first.wait_for(state="detached")
    page.get_by_text("sleeping: 1 of 1").first.wait_for()
    page.get_by_label("Only errors").check()
    page.get_by_text("No line is like that.").wait_for()


PAGES = (
    "/", "/train/", "/inference/", "/transfer/", "/edit/", "/compare/", "/gallery/", "/bin/", "/models/", "/jobs/",
    "/jobs/1/", "/logs/", "/account/", "/api/docs",
)  # fmt: skip
AXE = Path(__file__).with_name("axe") / "axe.min.js"


def test_pages_fit_every_screen_and_everybody(browser: Any, place: Studio) -> None:
    """No page is wider than a phone, a tablet or a desk, and axe-core finds nothing on it in either theme."""
    context = browser.new_context(base_url=place.address, reduced_motion="reduce")  # no colour is on its way to another
    context.set_default_timeout(PATIENCE)
    page, found = context.new_page(), []
    script = AXE.read_text(encoding="utf-8")
    for address in PAGES:
        page.goto(address)
        page.evaluate(script)
        for width in (1440, 820, 390):
            page.set_viewport_size({"width": width, "height": 900})
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wider > 0:
                found.append(f"{address} is {wider} px too wide at {width} px")
        for theme, only in (("light", None), ("dark", ["color-contrast"])):  # a theme is colours alone
            page.emulate_media(color_scheme=theme)
            told = page.evaluate("(only) => axe.run(only ? {runOnly: only} : {})", only)
            found += [f"{address}, {theme}: {one['id']}: {one['nodes'][0]['html']}" for one in told["violations"]]
    context.close()
    assert found == []
