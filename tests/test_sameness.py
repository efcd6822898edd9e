"""Telling subjects apart: what changes of a scene, families of look-alikes, and scores of encoders that are known."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from easel import models
from easel.pocket.train import alike, bars, details, sameness, subject
from easel.pocket.train.export import POCKET
from easel.pocket.train.pictures import Store
from easel.pocket.world import Scene, render, words


@pytest.mark.parametrize("name", alike.CHANGES)
def test_one_change_changes_nothing_else(name: str) -> None:
    scene = Scene.from_seed(3, kind="dog", place="beach", style="plain", light="none", castle=True)
    field = {"pose": "seed", "weather": "light"}.get(name, name)
    others = [alike.changed(scene, seed, (name,)) for seed in range(100, 120)]
    for other in others:
        fields = {"place", "mood", "time", "light", "seed"} - {field}
        assert all(getattr(other, kept) == getattr(scene, kept) for kept in fields)
        assert getattr(other, field) != getattr(scene, field)
        assert (other.kind, other.colour, other.accessories) == (scene.kind, scene.colour, scene.accessories)
        assert other.subject == 3
        assert other.castle == (other.place in words.OUTDOORS)
    assert len({getattr(other, field) for other in others}) > 1
    assert alike.changed(others[0], 7, (name,)).subject == 3


def test_what_cannot_change_stays() -> None:
    room = Scene.from_seed(4, kind="room", style="plain")
    moon = Scene.from_seed(5, kind="vase", place="moon", style="plain", light="none")
    for seed in range(100, 120):
        other = alike.changed(room, seed)
        assert (other.place, other.mood, other.light) == ("room", "neutral", "none")
        assert other.seed != room.seed
        assert alike.changed(moon, seed, ("weather", "mood")) == alike.lookalike(moon, 5)


def test_a_family_shares_its_words_and_its_two_scenes() -> None:
    scenes = alike.family(100_011)
    assert len(scenes) == 2 * alike.LOOKALIKES
    owners = [scene.subject for scene in scenes]
    assert owners[0::2] == owners[1::2]
    assert len(set(owners)) == alike.LOOKALIKES
    for column in (scenes[0::2], scenes[1::2]):
        assert all(alike.lookalike(scene, 0) == alike.lookalike(column[0], 0) for scene in column)
    first, second = scenes[:2]
    assert all(getattr(first, name) != getattr(second, name) for name in ("seed", "place", "mood", "time"))
    one, two = (render(scene, 64).astype(int) for scene in (scenes[0], scenes[2]))
    far = np.abs(one - two).max(axis=2)
    assert 0.002 < (far > 25).mean() < 0.3
    assert far[:8].max() == 0  # the surroundings are the same to the pixel


def test_told_apart_is_the_cross_entropy_of_finding_ones_like() -> None:
    axes = torch.eye(4).repeat_interleave(2, dim=0)
    assert subject.told_apart(5 * axes, scale=3.0).item() == pytest.approx(math.log(1 + 6 * math.exp(-3)))
    assert subject.told_apart(torch.ones(8, 4), scale=3.0).item() == pytest.approx(math.log(7))
    swapped = axes[[0, 2, 1, 3, 4, 6, 5, 7]]  # each beside another subject
    assert subject.told_apart(swapped, scale=3.0).item() > 3


def test_a_batch_has_two_views_of_a_subject_next_to_each_other(tmp_path: Path) -> None:
    """Stores whose pictures are each of one grey: look-alikes by number, photos brighter."""
    each, families = 2 * alike.LOOKALIKES, subject.FAMILIES + 1

    def store(name: str, greys: list[int], rows: list[dict[str, Any]]) -> Store:
        np.save(
            tmp_path / f"{name}.npy",
            np.broadcast_to(np.array(greys, np.uint8)[:, None, None, None], (len(greys), 256, 256, 3)),
        )
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
        return Store(tmp_path, name)

    greys = [40 + 4 * (i // 2) for i in range(each * families)]
    scenes = store("subjects", greys, [{"number": i} for i in range(len(greys))])
    folders = ["dreambooth"] * 3 + ["portraits"] * subject.REAL
    rows = [{"path": f"{folder}/{'dog' if i < 3 else i}/{i}.jpg", "folder": folder} for i, folder in enumerate(folders)]
    photos = store("photos", [200 + i for i in range(len(rows))], rows)
    assert sorted(map(len, subject.relatives(photos))) == [1] * subject.REAL + [3]
    made, rows = subject.batch(scenes, photos, np.random.default_rng(0))
    count = subject.FAMILIES * each + 2 * subject.REAL
    assert made.shape == (count, 3, subject.SIDE, subject.SIDE)
    means = made[: subject.FAMILIES * each].mean(dim=(1, 2, 3))
    seen = (((means + 1) * 127.5 - 40) / 4).round().reshape(subject.FAMILIES, alike.LOOKALIKES, 2)
    assert torch.equal(seen[..., 0], seen[..., 1])
    assert torch.equal(seen[..., 0] % alike.LOOKALIKES, torch.arange(4.0).expand(subject.FAMILIES, 4))
    assert len(seen[:, 0, 0].unique()) == subject.FAMILIES
    assert [int(row["number"]) // 2 for row in rows] == seen.flatten().int().tolist()
    assert made[subject.FAMILIES * each :].mean() > means.max()


def visibly_apart(one: Scene, other: Scene) -> float:
    """On what share of the picture two scenes differ by more than 25 levels."""
    far = np.abs(render(one, 256).astype(int) - render(other, 256)).mean(axis=2)
    return float((far > 25).mean())


def test_details_are_what_look_alikes_differ_in() -> None:
    """Drawn in one scene, cats of the same details differ in nothing that can be seen; others do."""
    scene = Scene(1, kind="cat", colour="orange", place="plain", accessories=("scarf",))
    groups: dict[tuple[int, ...], list[Scene]] = {}
    for one in (alike.lookalike(scene, number) for number in range(400)):
        groups.setdefault(tuple(details.details(one).values()), []).append(one)
    alikes = [group[:2] for group in groups.values() if len(group) > 1][:6]
    assert len(alikes) == 6
    assert max(visibly_apart(*pair) for pair in alikes) < 0.0005
    others = [(group[0], other[0]) for group, other in pairwise(list(groups.values())[:20])]
    assert min(visibly_apart(*pair) for pair in others) > 0.0005
    assert set(details.details(scene)) == {"stripes", "eyes", "scarf"}
    assert details.details(Scene(1, kind="room")) == {}


def test_heads_are_told_the_details_of_their_own_kind_alone() -> None:
    """Two of three choices of one detail have no logit to speak of: the third costs nothing, another 9."""
    lesson = subject.Lesson(subject.network())
    torch.nn.init.zeros_(lesson.heads.weight)
    torch.nn.init.zeros_(lesson.heads.bias)
    rows = [{"facts": {"kind": kind}, "details": {"ears": choice}} for kind, choice in (("dog", 2), ("dog", 0))]
    tokens = torch.zeros(2, 160)
    assert lesson.misnamed(tokens, rows).item() == pytest.approx(math.log(3))
    with torch.no_grad():
        lesson.heads.bias[lesson.slices["dog", "ears"]] = torch.tensor([0.0, 0.0, 9.0])
    assert lesson.misnamed(tokens[:1], rows[:1]).item() == pytest.approx(0, abs=1e-3)
    assert lesson.misnamed(tokens, rows).item() == pytest.approx(4.5, abs=1e-3)
    cats = [{"facts": {"kind": "cat"}, "details": {"eyes": 1, "stripes": 0}}]
    assert lesson.misnamed(tokens[:1], cats).item() == pytest.approx(math.log(4) + math.log(2))
    assert lesson.misnamed(tokens[:1], [{"facts": {"kind": "room"}, "details": {}}]).item() == 0


def test_weights_for_pictures_of_another_size() -> None:
    """The class token's own place stays; the grid's corners keep what they were, as nearly as a wider grid can."""
    from transformers import ViTConfig, ViTModel

    def net(side: int) -> ViTModel:
        shape = dict(hidden_size=8, intermediate_size=8, num_attention_heads=1, num_hidden_layers=1)
        return ViTModel(ViTConfig(**shape, image_size=side, patch_size=16), add_pooling_layer=False)

    small, large, again = net(64), net(96), net(64)
    state = small.state_dict()
    name = "embeddings.position_embeddings"
    state[name] = torch.arange(17.0)[None, :, None].expand(1, 17, 8)
    subject.take(again, state)
    assert torch.allclose(again.state_dict()[name], state[name])
    subject.take(large, state)
    places = large.state_dict()[name][0, :, 0]
    assert places[0] == 0
    assert torch.all(places[1:].reshape(6, 6).diff(dim=0) > 0)
    assert places[1:].mean().item() == pytest.approx(8.5, abs=0.01)


def test_strangers_are_told_by_what_lies_below_all_pairs_of_one_subject() -> None:
    found = sameness.of_strangers(np.array([3.0, 0.25, 2.0]), np.array([-5.0, 0.0, 0.125, 60.0]))
    assert (found["value"], found["n"]) == (0.25, 3)
    assert found["what"] == "75% of strangers' pairs lie below, and none of one subject's"


def test_an_encoder_says_from_where_on_subjects_are_strangers() -> None:
    kept = json.loads((POCKET / "subject" / "easel.json").read_text())["stranger"]
    assert models.load("pocket", "subject").stranger == kept
    measured = json.loads((POCKET / "subject" / "scores.json").read_text())[sameness.STRANGE_BELOW]["value"]
    assert kept == pytest.approx(measured, abs=0.006)


class Seer:
    """An encoder that sees nothing of a scene but one thing, as a direction of its own."""

    def __init__(self, see: Any) -> None:
        self.see = see
        self.known: dict[Any, int] = {}

    def images(self, scenes: list[Scene]) -> Any:
        """Unit vectors (n, 1500)."""
        places = [self.known.setdefault(self.see(scene), len(self.known)) for scene in scenes]
        return np.eye(1500, dtype=np.float32)[places]


def scores(monkeypatch: pytest.MonkeyPatch, see: Any) -> dict[str, float]:
    monkeypatch.setattr(sameness, "picture", lambda scene: scene)
    monkeypatch.setattr(sameness, "RESAMPLES", 10)
    found = sameness.measure(cast("Any", Seer(see)), 120)
    assert all(name in found for name in bars.BARS["subject"])
    return {name: score["value"] for name, score in found.items()}


def test_scores_of_encoders_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows the subject is always right; who goes by kind and colour knows strangers, and takes every look-alike
    for the subject; who goes by place and mood takes the subject for another.
    """
    right = scores(monkeypatch, alike.own_seed)
    assert all(value == 1 for name, value in right.items() if "AUC" in name)
    assert (right["cosine of one subject"], right["cosine of look-alikes"]) == (1, 0)
    words_alone = scores(monkeypatch, lambda scene: (scene.kind, scene.colour, scene.accessories, scene.mask))
    assert words_alone[sameness.LOOKALIKES] == 0.5
    assert words_alone[sameness.STRANGERS] > 0.9
    assert words_alone["cosine of look-alikes"] == 1
    moody = scores(monkeypatch, lambda scene: (scene.place, scene.mood))
    assert moody["cosine of one subject"] < 0.2  # a hotel room stays where it is
    assert moody[sameness.STRANGERS] < 0.6
    assert moody["same subject against look-alikes in its own place and pose (AUC)"] < 0.1
    assert moody["same subject, only the mood another (AUC)"] == pytest.approx(0.45, abs=0.06)
    assert moody["same subject, only the time another (AUC)"] > 0.9


def test_the_chance_of_telling_two_lists_apart() -> None:
    """2 and 4 against 1, 2 and 3: above 3, level 1, below 2 of six. The interval knows both sides."""
    assert sameness.auc_estimate(np.array([2.0, 4.0]), np.array([1.0, 2.0, 3.0])).value == pytest.approx(4.5 / 6)
    assert tuple(sameness.auc_estimate(np.ones(4), np.zeros(9))) == (1, 1, 1, 4)
    rng = np.random.default_rng(0)
    same = rng.normal(1, 1, 400)
    many, few = (sameness.auc_estimate(same, rng.normal(0, 1, n)) for n in (4000, 40))
    for one in (many, few):
        assert one.low is not None
        assert one.high is not None
        assert one.low < 0.76 < one.high  # the normal's own: P(N(1, 2) > 0)
    assert few.high - few.low > 2 * (many.high - many.low)  # type: ignore[operator]
