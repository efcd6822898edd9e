"""A model card for each folder of pocket: what it is, what it learned from, under which licence, and how good it is."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from easel.pocket.train import alike, bars, blip, clip, control, depth, instruct, pages, perceptual, subject, unet, vae


class Part(NamedTuple):
    """What a card says of a part, beside its scores."""

    title: str
    base: str
    """The class that reads it."""
    taught: str
    """How it learned: loss, steps, batch; words in braces are from `history`."""


HISTORY = Path(__file__).parent.parent / "weights" / "history.yaml"
"""How the shipped weights came to be, by the names that `Part.taught` has in braces."""
BLIP = (
    "at 256 px, guided at each patch by a network that names facts from latents, Muon, the encoder alone in the first "
    "half. {readers}"
)
PARTS = {
    "diffusion": Part(
        "Pocket: text to image and image to image at 256 px",
        "diffusers StableDiffusionPipeline (UNet2DConditionModel, CLIPTextModel, PixelAutoencoder)",
        f"autoencoder: {vae.SCHEDULE.steps} steps of {vae.BATCH} crops of {vae.CROP} px, L1 + gradients + a slight KL, "
        f"then {vae.SHARPEN.steps} of its decoder alone with a perceptual and a patch-adversarial term, Muon (the "
        "shipped one: {decoder}); "
        f"UNet and text encoder: {unet.COARSE.steps} steps of {unet.BATCHES[128]} at 128 px, then the UNet "
        f"{unet.FINE.steps} steps of {unet.BATCHES[256]} at 256 px with a latent perceptual loss, a reward for facts "
        "that can be seen, and errors that count most at the subject's head, v-prediction with zero terminal SNR, "
        "Muon; seven in ten of the filtered photos and scenes as redrawings of the plain ones, and five scenes of each "
        "batch with a dog, a cat and a bird in turn, drawn over one another. {painter}",
    ),
    "caption": Part(
        "Pocket: captions",
        "transformers BlipForConditionalGeneration",
        f"{blip.SCHEDULE.steps} steps of {blip.BATCH} pictures, together with the answerer on one picture "
        f"encoder, {BLIP}",
    ),
    "ask": Part(
        "Pocket: answers to questions about a picture",
        "transformers BlipForQuestionAnswering",
        f"{blip.SCHEDULE.steps} steps of {blip.BATCH} pictures, {blip.ASKED} questions each, together with "
        f"the captioner, "
        f"{BLIP}",
    ),
    "clip": Part(
        "Pocket: pictures and words in one space",
        "transformers CLIPModel",
        f"{clip.SCHEDULE.steps} steps of {clip.BATCH} pairs by contrast, from the captioner's picture encoder, "
        "Muon. {clip}",
    ),
    "subject": Part(
        "Pocket: is it the same subject?",
        "transformers ViTModel",
        f"{subject.SCHEDULE.steps} steps of {subject.FAMILIES} families of {alike.LOOKALIKES} look-alikes in the same "
        f"two scenes and {subject.REAL} pairs of real pictures in other light, at {subject.SIDE} px, by supervised "
        "contrast, from the captioner's picture encoder, Muon. {subject}",
    ),
    "perceptual": Part(
        "Pocket: perceptual distance",
        "transformers ResNetModel, its four stages compared as in LPIPS",
        f"{perceptual.SCHEDULE.steps} steps of {perceptual.BATCH} pairs (photo, the same photo filtered) by contrast",
    ),
    "instruct": Part(
        "Pocket: photos edited as told",
        "diffusers StableDiffusionInstructPix2PixPipeline, its UNet2DConditionModel of 16 channels here and the other "
        "parts in `diffusion`",
        f"{instruct.SCHEDULE.steps} steps of {instruct.BATCH} pairs of pictures and an instruction at 256 px "
        f"({instruct.PHOTOS:.0%} of them real photos under filters of light, weather, tone and style, the rest scenes "
        "and their edits), from the UNet in `diffusion` whole, its first convolution widened; v-prediction, Muon, the "
        "text encoder as it is. {instruct}",
    ),
    "control": Part(
        "Pocket: pictures that follow edges, depth or scribbles",
        "diffusers ControlNetModel, without attention, for pocket's UNet at 256 px; one network reads all three kinds",
        f"{control.CONTROL.steps} steps of {control.BATCH} maps (edges {control.KINDS['canny']:.0%}, depth "
        f"{control.KINDS['depth']:.0%}, scribbles {control.KINDS['scribble']:.0%}; {control.REAL:.0%} of them of real "
        f"photos, whose depth is the depth net's), {control.DROPPED:.0%} of prompts left out, from the UNet's own "
        "encoder, v-prediction, Muon, the UNet and the text encoder frozen. {control}",
    ),
    "adapter-canny": Part(
        "Pocket: pictures that follow edges, by a light adapter",
        "diffusers T2IAdapter with blocks for pocket's UNet (PooledAdapter: import easel.networks.adapter first)",
        f"{control.ADAPTER.steps} steps of {control.BATCH} edge maps as the ControlNet was taught. {{adapter}}",
    ),
    "depth": Part(
        "Pocket: how near things are",
        "transformers DPTForDepthEstimation (hybrid)",
        f"{depth.SCHEDULE.steps} steps of {depth.BATCH} scenes at {depth.SIDE} px with their exact depth: L1 and "
        f"gradients at four scales; in {depth.TEXTURED:.0%} of them with fine texture of photos laid over, in other "
        "light and colours. Photos have no label: what it says of them was looked at and not measured. {depth}",
    ),
}
HARDWARE = "Two CPU cores, bfloat16, mostly one thread a part and two parts at a time; docs/pocket.md has the hours."
DATA = """- scenes of easel's own world, drawn by code (MIT), plain and under its style and light filters
- 27 public-domain, CC0 and US Government photos; 450 photos of clothes (clothing-dataset-small, CC0); 535 portraits of
  public officials without names (US Government works from MIT repositories); 158 photos of DreamBooth's subjects
  (Ruiz et al. 2023; CC BY 4.0 by the paper's authors, and the Unsplash licence); 25 paintings in the public domain
- each real picture also under the world's filters, its caption saying so"""
LIMITS = """Knows the pocket world (eleven kinds, ten colours, nine places, three times of day, ten styles) and the look
of about 1,200 real photos; anything else becomes something of these. A style means what easel's filter of that name
does. Identifies nobody. The scenes were packed shortly before the last touches to their drawing, so a seed's scene in
training may differ in small details from what the same seed draws now; held-out seeds were never seen either way."""


HEAD = """Written by `make pocket-score` from the shipped weights. The judge of the pictures is a residual network that
was trained on other seeds and is not shipped (`tests/judge.safetensors`); how often it is right about true scenes
stands first. The pictures were picked by chance among those with every fact right, one wrong, and more. A bar is what a
score was meant to reach at least before anything was trained; a score without one is there to be read."""


def history() -> dict[str, str]:
    """What the shipped weights had that the schedules of today do not say."""
    found: dict[str, str] = yaml.safe_load(HISTORY.read_text(encoding="utf-8"))
    return found


def row(part: str, name: str, score: dict[str, Any]) -> str:
    """A line of the table of scores."""
    interval = "" if score["low"] is None else f"{score['low']:.3g} to {score['high']:.3g}"
    bar = bars.verdict(part, name, score["value"])
    return f"| {name} | {score['value']:.3g} | {interval} | {bar} | {score['n']} | {score['judge']} | {score['what']} |"


def table(part: str, scores: bars.Scores) -> str:
    """A Markdown table of a part's scores."""
    head = "| score | value | 95 % interval | bar | n | judge | on |\n|---|---|---|---|---|---|---|\n"
    return head + "\n".join(row(part, name, score) for name, score in scores.items())


def card(name: str, scores: bars.Scores) -> str:
    """The card of one part."""
    part = PARTS[name]
    lines = [f"# {part.title}", f"Read by: {part.base}. Licence: MIT. Matrices are float8_e4m3fn, the rest float16."]
    lines += [
        "## Training",
        f"{part.taught.format(**history())}. {HARDWARE} `make pocket` makes it again.",
        "## Data",
        DATA,
    ]
    told = [bars.missed({name: scores})] if name in bars.BARS and scores else []
    lines += ["## Held-out scores", *told, table(name, scores) if scores else "Not measured.", "## Limits", LIMITS]
    return "---\nlicense: mit\n---\n\n" + "\n\n".join(lines) + "\n"


def write(folder: Path, docs: Path = pages.PAGE.parent.parent) -> None:
    """Write every card below ``folder``, and one page of all the scores where there is a folder ``docs`` for it."""
    parts = [name for name in PARTS if (folder / name).exists()]
    scores = {name: read_scores(folder / name) for name in parts}
    page = ["# Held-out scores", HEAD, bars.missed(scores)]
    if (docs / "images" / pages.PAGE.name).exists():
        page.append(f"![Pictures of held-out prompts](images/{pages.PAGE.name})")
    for name, found in scores.items():
        (folder / name / "README.md").write_text(card(name, found))
        title = PARTS[name].title.removeprefix("Pocket: ")
        page += [f"## {title}", table(name, found) if found else "Not measured."]
    if docs.is_dir():
        (docs / "pocket-scores.md").write_text("\n\n".join(page) + "\n")


def read_scores(folder: Path) -> bars.Scores:
    """What was measured of a part; nothing where it was not."""
    file = folder / "scores.json"
    found: bars.Scores = json.loads(file.read_text()) if file.exists() else {}
    return found
