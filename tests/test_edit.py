"""Editing photos: the way chosen, the frame, masks, controls, details kept, scores, folders, going on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps
from pydantic import ValidationError

from easel import models, runners
from easel.errors import EaselError
from easel.images import open_picture
from easel.jobs.edit import mask_of
from easel.jobs.edit.depth import DepthModel
from easel.jobs.edit.maps import wanted_maps
from easel.jobs.edit.method import chosen, has_instruct, is_instruction
from easel.jobs.edit.verdict import Judge, scores_of
from easel.jobs.frame import Frame
from easel.metrics import edits
from easel.models.diffusion import maps
from easel.provenance import read_provenance, with_places
from easel.recipes import recipe_from
from easel.recipes.edit import Edit, control_parts
from easel.workspace import Step, Workspace
from tests import tiny
from tests.conftest import drawn


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family with judges, its instruct and inpainting kin, a ControlNet, an adapter and a model of depth."""
    place = tmp_path_factory.mktemp("shelf")
    family = place / "tiny"
    tiny.sd(family / "diffusion")
    tiny.blip(family / "caption")
    tiny.clip(family / "clip")
    tiny.resnet(family / "perceptual")
    tiny.with_channels(family / "diffusion", place / "instruct", "instruct")
    tiny.with_channels(family / "diffusion", place / "inpaint", "inpaint")
    tiny.controlnet(family / "diffusion", place / "canny")
    tiny.adapter(family / "diffusion", place / "adapter")
    tiny.sdxl(place / "xl")
    tiny.controlnet(place / "xl", place / "other")
    tiny.dpt(place / "depth")
    return place


def edit(shelf: Path, photo: Path, **more: Any) -> Edit:
    name = str(shelf / "tiny")
    values = {
        "photo": str(photo),
        "prompt": "a spot at night",
        "model": name,
        "judge": name,
        "captioner": name,
        "caption": "a spot",
        "steps": 2,
        "seed": 4,
        "scheduler": "ddim",
    }
    return Edit.model_validate(values | more)


def values_of(result: Any) -> dict[str, float]:
    return {score.name: score.value for score in result.scores}


# Words


@pytest.mark.parametrize(
    ("words", "is_order"),
    [
        ("make it night", True),
        ("Please add a hat", True),
        ("turn the sofa red", True),
        ("a street at night", False),
        ("makeup artist", False),
        ("the room, put in order", False),
        ("", False),
    ],
)
def test_instructions_are_told_from_descriptions(words: str, is_order: bool) -> None:
    assert is_instruction(words) == is_order


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("depth", ("depth", "", None)),
        ("depth:0.5", ("depth", "", 0.5)),
        ("pose=a.png", ("pose", "a.png", None)),
        ("canny=my:map.png:1.5", ("canny", "my:map.png", 1.5)),
        ("map.png", ("", "map.png", None)),
        ("C:\\map.png", ("", "C:\\map.png", None)),
        ("odd=name.png", ("", "odd=name.png", None)),
    ],
)
def test_controls_are_read(text: str, parts: tuple[Any, ...]) -> None:
    assert control_parts(text) == parts


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "inpaint"}, "mask is missing"),
        ({"method": "pose"}, "control is missing: pose maps are not made"),
        ({"control": ("pose",)}, "write pose=FILE"),
        ({"control": ("canny:3",)}, "from 0 to 2"),
        ({"control": ("canny=",)}, "KIND=FILE"),
        ({"control_start": 0.5, "control_end": 0.5}, "must be less than control_end"),
        ({"canny_low": 200, "canny_high": 100}, "must be less than canny_high"),
        ({"method": "redraw", "control": ("canny",)}, "belongs to auto and control methods|belongs to control methods"),
        ({"method": "redraw", "mask": "m.png"}, "mask: belongs to auto, inpaint, canny"),
        ({"method": "instruct", "strength": 0.5}, "strength: belongs to auto, redraw, inpaint, canny"),
        ({"strength": 0.2}, "less than one"),
    ],
)
def test_what_does_not_fit_together_is_said(photo: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Edit.model_validate({"photo": str(photo), "prompt": "x", "steps": 2} | more)


def test_a_family_that_does_both_is_asked_in_the_way_that_the_words_are_said(
    shelf: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "diffusion").symlink_to(shelf / "tiny" / "diffusion")
    (tmp_path / "instruct").symlink_to(shelf / "instruct")
    for prompt, method in (("make it night", "instruct"), ("a street at night", "redraw")):
        assert chosen(edit(shelf, photo, model=str(tmp_path), prompt=prompt))[0].method == method
    assert chosen(edit(shelf, photo, model=str(shelf / "instruct"), prompt="a street"))[0].method == "instruct"


def test_the_way_is_chosen_by_what_is_given(shelf: Path, photo: Path) -> None:
    def way(**more: Any) -> tuple[str, str]:
        recipe, why = chosen(edit(shelf, photo, **more))
        return recipe.method, why

    assert way(control=("canny:0.4", "depth:0.8"))[0] == "canny"
    assert way(control=("depth:0.8", "canny:0.4"))[0] == "depth"  # the first that is given
    assert way(control=("m.png", "scribble"))[0] == "scribble"
    instruct = str(shelf / "instruct")
    assert has_instruct(instruct)
    assert not has_instruct(str(shelf / "tiny"))
    assert way() == ("redraw", "method: redraw, since the words describe the picture")
    assert way(mask="m.png")[0] == "inpaint"
    assert way(control=("depth",)) == ("depth", "method: depth, since a control map was given")
    assert way(prompt="make it night", model=instruct)[0] == "instruct"
    method, why = way(prompt="make it night")
    assert method == "redraw"
    assert "knows no instructions" in why
    assert way(method="canny") == ("canny", "")
    with pytest.raises(EaselError, match="of which kind"):
        way(control=("m.png",))
    assert way(control=("depth",), strength=0.5)[0] == "depth"
    assert way(control=("depth",), mask="m.png")[0] == "depth"  # followed inside it
    with pytest.raises(ValidationError, match=r"strength: belongs to auto, redraw, .* not to adapter-canny"):
        way(method="adapter-canny", strength=0.5)


# Frame


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (1000, 16), (16, 1000), (17, 17), (63, 95)])
@pytest.mark.parametrize("whole", [(64, 64), (96, 64), (128, 64)])
def test_nothing_is_stretched_and_the_photo_comes_back_whole(size: tuple[int, int], whole: tuple[int, int]) -> None:
    photo = drawn(*size)
    frame = Frame.of(photo, whole)
    fitted = frame.fit(photo)
    assert fitted.size == whole
    part = frame.back(fitted)
    assert part.size == frame.part
    scale = min(whole[0] / size[0], whole[1] / size[1])
    assert all(abs(now - before * scale) <= 0.5 for now, before in zip(part.size, size, strict=True))
    assert ImageChops.difference(part, photo.resize(frame.part, Image.Resampling.LANCZOS)).getbbox() is None


def test_a_frame_is_filled_with_the_mirror_image() -> None:
    rows = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    frame = Frame((4, 3), (2, 2))
    filled = np.asarray(frame.fill(Image.fromarray(rows)))
    assert filled[:, :, 0].tolist() == [[0, 3, 3, 0], [6, 9, 9, 6], [6, 9, 9, 6]]


# Edits


def test_redraw_again_and_the_same_bytes(shelf: Path, photo: Path, tmp_path: Path) -> None:
    recipe = edit(shelf, photo, count=2, strength=1.0)
    result = runners.run(recipe, tmp_path / "a", dtype="float32")
    assert [path.name for path in result.picture_paths] == ["01-a-spot-at-night.png", "02-a-spot-at-night.png"]
    assert {image.size for image in result.images} == {(96, 64)}
    assert result.texts["01-a-spot-at-night.png"] == "a spot, a spot at night"
    assert {score.judge for score in result.scores} == {"clip:tiny", "perceptual:tiny", "pixels"}
    runners.run(recipe, tmp_path / "b", dtype="float32")
    for name in [*result.pictures, "sheet.png", "table.csv"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    inside = read_provenance(result.picture_paths[1])["easel"]["recipe"]
    assert inside["seed"] == 5
    assert inside["method"] == "redraw"
    assert str(tmp_path) not in str(inside)
    again = runners.run(recipe_from(with_places(inside, recipe.plain())), tmp_path / "again", dtype="float32")
    assert ImageChops.difference(again.images[0], result.images[1]).getbbox() is None


def test_instruct(shelf: Path, photo: Path, tmp_path: Path) -> None:
    recipe = edit(shelf, photo, prompt="make it night", model=str(shelf / "instruct"), image_guidance_scale=2.0)
    result = runners.run(recipe, tmp_path / "out")
    assert result.texts["method"] == "instruct"
    assert result.texts[result.pictures[0]] == "make it night"


@pytest.mark.parametrize("name", ["tiny", "inpaint"])
def test_outside_a_hard_mask_nothing_changes(shelf: Path, photo: Path, tmp_path: Path, name: str) -> None:
    mask = Image.new("L", (96, 64))
    mask.paste(255, (30, 20, 70, 50))
    mask.save(tmp_path / "mask.png")
    recipe = edit(shelf, photo, mask=str(tmp_path / "mask.png"), model=str(shelf / name))
    result = runners.run(recipe, tmp_path / "out")
    assert result.texts["method"] == "inpaint"
    assert values_of(result)["largest change outside the mask"] == 0
    assert values_of(result)["change inside the mask"] > 1
    box = ImageChops.difference(result.images[0], open_picture(photo)).getbbox()
    assert box is not None
    assert max(30 - box[0], 20 - box[1], box[2] - 70, box[3] - 50) <= 0
    inverted = runners.run(recipe.model_copy(update={"mask_invert": True}), tmp_path / "inverted")
    inside = ImageChops.difference(inverted.images[0], open_picture(photo)).crop((30, 20, 70, 50))
    assert inside.getbbox() is None


def painted(file: Path, mode: str, ground: Any, mark: Any, size: tuple[int, int] = (96, 64)) -> str:
    """A mask in a file, marked in a box at the middle."""
    mask = Image.new(mode, size, ground)
    mask.paste(mark, (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4))
    mask.save(file)
    return str(file)


@pytest.mark.parametrize(
    ("mode", "ground", "mark", "size", "said"),
    [
        ("L", 0, 0, (96, 64), "mask.png marks nothing: what is to be changed is white in it"),
        ("L", 0, 100, (96, 64), "marks nothing"),
        ("L", 255, 0, (64, 64), "the mask is 64 x 64 and the photo 96 x 64: give a mask of the photo's proportions"),
        ("RGB", (0, 0, 0), (255, 0, 0), (96, 64), "mask.png has colours: paint what is to be changed white"),
        ("RGBA", (0, 0, 0, 255), (0, 0, 0, 0), (96, 64), "marks nothing"),
        ("L", 0, 255, (12, 8), "12 x 8 pixels are too few"),
    ],
)
def test_masks_that_cannot_be(
    shelf: Path, photo: Path, tmp_path: Path, mode: str, ground: Any, mark: Any, size: tuple[int, int], said: str
) -> None:
    file = painted(tmp_path / "mask.png", mode, ground, mark, size)
    with pytest.raises(EaselError, match=said):
        runners.run(edit(shelf, photo, mask=file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("mode", "ground", "mark", "size"),
    [
        ("L", 0, 255, (192, 128)),
        ("1", 0, 1, (96, 64)),
        ("I;16", 0, 65535, (96, 64)),
        ("P", 0, 1, (96, 64)),
        ("RGB", (0, 0, 0), (250, 255, 246), (96, 64)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255, 255), (96, 64)),
        ("RGBA", (255, 255, 255, 0), (255, 255, 255, 255), (96, 64)),
    ],
)
def test_masks_of_any_mode_and_size_mark_the_same(
    tmp_path: Path, photo: Path, mode: str, ground: Any, mark: Any, size: tuple[int, int]
) -> None:
    file = tmp_path / "mask.png"
    if mode in {"P", "I;16"}:
        rows = np.full((64, 96), ground, np.uint16 if mode == "I;16" else np.uint8)
        rows[16:48, 24:72] = mark
        image = Image.fromarray(rows)
        if mode == "P":
            image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(file)
    else:
        painted(file, mode, ground, mark, size)
    mask = mask_of(Edit(photo=str(photo), prompt="x", mask=str(file)), str(file)).resize((96, 64))
    assert mask.point([255 * (level > 200) for level in range(256)]).getbbox() == (24, 16, 72, 48)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "instruct"}, "holds a family without instruct .it has diffusion, .*instruct-pix2pix"),
        (
            {"method": "instruct", "model": "{tiny}/diffusion"},
            "text-to-image model, not instruct; .*instruct-pix2pix",
        ),
        (
            {"method": "instruct", "model": "sd-1.5"},
            "'sd-1.5' has no model for instruct: .*instruct-pix2pix",
        ),
        ({"method": "redraw", "model": "{instruct}"}, "this is an instruct-pix2pix model, not image-to-image"),
        ({"method": "canny", "control_model": "{tiny}/diffusion"}, "no folder of a ControlNet"),
        ({"method": "canny", "control_model": "{adapter}"}, "holds T2IAdapter; this role needs a ControlNet"),
        ({"method": "adapter-canny", "control_model": "{canny}"}, "this role needs a T2I-Adapter"),
        ({"method": "canny", "control_model": "{other}"}, "made for another base: cross-attention 64 against 32"),
        ({"method": "canny", "control": ("{broken}",), "control_model": "{canny}"}, "broken.png is not a picture"),
        ({"method": "depth", "control_model": "{canny}"}, "easel models pull depth-small"),
        ({"depth_model": "dpt-hybrid"}, "easel models pull dpt-hybrid"),
        ({"photo": "{broken}"}, "is not a picture"),
    ],
)
def test_what_cannot_be_done_is_said(shelf: Path, photo: Path, tmp_path: Path, more: dict[str, Any], said: str) -> None:
    (shelf / "broken.png").write_bytes(b"hello")
    places = {path.stem: path for path in shelf.iterdir()}

    def placed(value: Any) -> Any:
        return tuple(map(placed, value)) if isinstance(value, tuple) else value.format(**places)

    recipe = edit(shelf, photo, prompt="make it night").model_copy(
        update={name: placed(value) for name, value in more.items()}
    )
    with pytest.raises(EaselError, match=said):
        runners.run(recipe, tmp_path / "out")


def test_a_control_of_another_kind_is_followed_beside_the_methods_own(
    shelf: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easel.models.diffusion.Diffusion.control_for", lambda *_: str(shelf / "canny"))
    drawn().save(tmp_path / "far.png")
    given = (f"depth={tmp_path / 'far.png'}",)
    result = runners.run(edit(shelf, photo, method="canny", control=given, show_control=True), tmp_path / "out")
    assert any(
        "canny was made from the photo and followed beside depth: --method depth" in note for note in result.notes
    )
    shown = [name.rpartition("-")[2] for name in result.files if name.startswith("controls/")]
    assert shown == ["canny.png", "depth.png"]
    named = edit(shelf, photo, control=given)
    assert runners.run(named, tmp_path / "auto").texts["method"] == "depth"


def test_ready_maps_are_laid_on_black(tmp_path: Path) -> None:
    lines = Image.new("RGBA", (96, 64))
    lines.paste((255, 255, 255, 255), (40, 0, 42, 64))
    lines.save(tmp_path / "lines.png")
    recipe = Edit(photo="a", prompt="x", method="canny", control=(str(tmp_path / "lines.png"),))
    (wanted,) = wanted_maps(recipe)
    assert wanted.ready is not None
    assert wanted.ready.convert("L").getbbox() == (40, 0, 42, 64)


def test_controls_are_made_shown_and_followed(shelf: Path, photo: Path, tmp_path: Path) -> None:
    control = str(shelf / "canny")
    more: dict[str, Any] = {"method": "canny", "control_model": control, "keep_details": "no"}
    result = runners.run(edit(shelf, photo, **more, show_control=True), tmp_path / "out", dtype="float32")
    shown = tmp_path / "out" / "controls" / "01-a-spot-at-night-canny.png"
    assert str(shown.relative_to(tmp_path / "out")) in result.files
    levels = set(np.unique(np.asarray(Image.open(shown))))
    assert levels == {0, 255}
    drawn().save(tmp_path / "other.png")
    ready = edit(shelf, photo, **more, control=(str(tmp_path / "other.png"),))
    other = runners.run(ready, tmp_path / "ready", dtype="float32")
    assert ImageChops.difference(other.images[0], result.images[0]).getbbox() is not None
    off = runners.run(edit(shelf, photo, **more, control_scale=0.0), tmp_path / "off", dtype="float32")
    assert ImageChops.difference(off.images[0], result.images[0]).getbbox() is not None
    with pytest.raises(EaselError, match="no controlnet is known for this base"):
        runners.run(edit(shelf, photo, method="canny"), tmp_path / "none")
    Image.new("RGB", (64, 64)).save(tmp_path / "square.png")
    square = edit(shelf, photo, **more, control=(str(tmp_path / "square.png"),))
    with pytest.raises(EaselError, match="canny map is 64 x 64 and the photo 96 x 64"):
        runners.run(square, tmp_path / "square")


def test_a_map_is_followed_from_the_photo_and_inside_a_mask(shelf: Path, photo: Path, tmp_path: Path) -> None:
    """With a ready map the photo changes nothing but where the picture starts, which a strength makes it."""
    more: dict[str, Any] = {"method": "canny", "control_model": str(shelf / "canny"), "keep_details": "no"}
    drawn().save(tmp_path / "map.png")
    Image.new("RGB", (96, 64), "navy").save(tmp_path / "navy.png")
    made: dict[tuple[str, float | None], bytes] = {}
    for file in (photo, tmp_path / "navy.png"):
        for strength in (None, 0.5):
            steered = edit(shelf, file, **more, control=(str(tmp_path / "map.png"),), strength=strength, caption="a")
            result = runners.run(steered, tmp_path / f"{file.stem}-{strength}", dtype="float32")
            done = read_provenance(result.picture_paths[0])["easel"]
            assert done.get("strength") == strength
            made[file.stem, strength] = Image.open(result.folder / "drawn" / result.pictures[0]).tobytes()  # type: ignore[operator]
    assert made["photo", None] == made["navy", None]
    assert made["photo", 0.5] != made["navy", 0.5]
    assert made["photo", 0.5] != made["photo", None]
    mask = painted(tmp_path / "mask.png", "L", 0, 255)
    masked = runners.run(edit(shelf, photo, **more, mask=mask), tmp_path / "masked", dtype="float32")
    assert values_of(masked)["largest change outside the mask"] == 0
    assert values_of(masked)["change inside the mask"] > 1


def test_pictures_under_way_are_shown_where_somebody_looks(
    shelf: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easel.models.diffusion.latents.PREVIEW_EVERY", 0.0)
    monkeypatch.setattr("easel.models.diffusion.latents.PREVIEW_SHARE", 1e9)
    recipe, seen = edit(shelf, photo, strength=1.0, keep_details="no"), list[Image.Image]()

    class Looking:
        shows_previews = True

        def __call__(self, step: Step) -> None:
            seen.extend([step.preview] if step.preview else [])

    watched = runners.run(recipe, tmp_path / "watched", dtype="float32", report=Looking())
    assert len(seen) == recipe.steps
    assert {image.size for image in seen} == {(96, 64)}
    unseen = list[Step]()
    plain = runners.run(recipe, tmp_path / "plain", dtype="float32", report=unseen.append)
    assert all(step.preview is None for step in unseen)
    assert ImageChops.difference(plain.images[0], watched.images[0]).getbbox() is None
    assert ImageChops.difference(seen[0], seen[-1]).getbbox() is not None


def test_the_depth_model_makes_maps_and_judges(shelf: Path, photo: Path, tmp_path: Path) -> None:
    own = {"method": "depth", "control_model": str(shelf / "canny"), "depth_model": str(shelf / "depth")}
    result = runners.run(edit(shelf, photo, **own, keep_details="no"), tmp_path / "out", dtype="float32")
    assert result.texts["method"] == "depth"
    found = {score.name: score for score in result.scores}
    eye = models.load(str(shelf / "depth"), "depth")
    before, after = eye.nearness([open_picture(photo), result.images[0]])
    assert found["depth correlation"].value == pytest.approx(edits.depth_correlation(before, after))
    assert found["depth correlation"].judge == found["depth correlation to the control"].judge == "depth:depth"
    # the edit's own depth as the map it followed: the number says that it is the same
    own_depth = eye.maps([result.images[0]])[0]
    judge = Judge.load(str(shelf / "tiny"), Workspace(tmp_path / "w", "cpu", "float32"), DepthModel(eye, "depth"))
    values = judge.values(open_picture(photo), result.images[0], "a", "b", None, [("depth", own_depth)])
    assert values["depth correlation to the control"] > 0.99


def test_depth_is_judged_where_a_model_of_it_is_at_hand(
    shelf: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = edit(shelf, photo)
    assert "depth correlation" not in values_of(runners.run(recipe, tmp_path / "without"))
    shutil.copytree(shelf / "tiny", tmp_path / "family")
    shutil.copytree(shelf / "depth", tmp_path / "family" / "depth")
    for setting in ("model", "judge"):
        result = runners.run(recipe.model_copy(update={setting: str(tmp_path / "family")}), tmp_path / setting)
        judges = {score.judge for score in result.scores if score.name.startswith("depth")}
        assert judges == {"depth:family"}


def test_edges_that_were_followed_are_looked_for_again(shelf: Path, tmp_path: Path) -> None:
    judge = Judge.load(str(shelf / "tiny"), Workspace(tmp_path, "cpu", "float32"))
    photo, other = drawn(), ImageOps.mirror(drawn())
    maps_of = {"own": maps.canny(other), "photo": maps.canny(photo), "none": Image.new("RGB", photo.size)}
    found = {
        name: judge.values(photo, other, "a", "b", None, [("canny", image)]).get("edges F1 to the control")
        for name, image in maps_of.items()
    }
    assert found["own"] == 1
    assert found["photo"] is not None
    assert found["photo"] < 0.9
    assert found["none"] is None


def test_scores_of_two_judges_of_depth_are_not_averaged() -> None:
    rows = [
        {"file": f"{i}.png", "photo": str(i), "depth": judge, "values": {"depth correlation": value}}
        for i, (judge, value) in enumerate((("one", 0.25), ("one", 0.75), ("other", 0.0)))
    ]
    means = {score.judge: (score.value, score.of) for score in scores_of("pocket", rows) if score.of.startswith("all")}
    assert means == {"depth:one": (0.5, "all 2 photos"), "depth:other": (0.0, "all 1 photos")}


@pytest.mark.parametrize("size", [(16, 16), (640, 24), (2000, 1500)])
def test_photos_of_any_size_keep_theirs(shelf: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    drawn(*size).save(tmp_path / "p.png")
    recipe = edit(shelf, tmp_path / "p.png", keep_details="yes", strength=1.0)
    if size[1] == 24:
        with pytest.raises(EaselError, match="128 x 5 is too narrow"):
            runners.run(recipe, tmp_path / "narrow")
        plain = runners.run(recipe.model_copy(update={"keep_details": "auto"}), tmp_path / "plain")
        assert plain.images[0].size == size
        return
    result = runners.run(recipe, tmp_path / "out")
    assert result.images[0].size == size
    assert (tmp_path / "out" / "drawn" / result.pictures[0]).is_file()


def test_a_folder_goes_on_where_it_was_stopped(shelf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        drawn(colour=colour).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxxx")
    recipe = edit(shelf, folder, count=2)
    whole = runners.run(recipe, tmp_path / "whole", dtype="float32")
    assert len(whole.pictures) == 6
    assert any("1 of 4 pictures were skipped" in note for note in whole.notes)
    assert [score.n for score in whole.scores if score.of == "all 3 photos"]

    def stop(event: Any) -> None:
        if event.phase == "editing" and event.done >= 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runners.run(recipe, tmp_path / "cut", dtype="float32", report=stop)
    assert (tmp_path / "cut" / "progress.jsonl").read_text().count("\n") == 2
    resumed = runners.run(recipe, tmp_path / "cut", dtype="float32")
    assert resumed.pictures == whole.pictures
    for name in [*whole.pictures, "sheet.png", "table.csv"]:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "cut" / "progress.jsonl").read_text().splitlines()]
    assert {row["photo"] for row in rows} == {"0.png", "1.png", "2.png"}
