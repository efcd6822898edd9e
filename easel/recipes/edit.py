"""Recipe: change one thing in a photo, and keep the rest."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import (
    BY_MAP,
    CONTROLS,
    Count,
    Drawn,
    Instructed,
    ModelName,
    NamesFile,
    Only,
    PictureName,
    PicturesName,
    Plays,
    Prompt,
    Repeated,
    Steered,
    Strength,
)

READY_ONLY = ("pose", "segmentation")
"""Kinds that nothing here makes from a photo."""


Method = Literal[
    "auto",
    "instruct",
    "redraw",
    "inpaint",
    "canny",
    "depth",
    "pose",
    "segmentation",
    "scribble",
    "adapter-canny",
    "adapter-depth",
]


class ControlParts(NamedTuple):
    """What a control says: its kind ('' is the method's own), a ready map or '', and its scale or None."""

    kind: str
    file: str
    scale: float | None


def control_parts(text: str) -> ControlParts:
    """'depth=map.png:0.6' in its parts; 'depth' alone is made from the photo, 'map.png' is a map of the method's kind.

    Raises ValueError where there is nothing, or a scale is not from 0 to 2.
    """
    rest, colon, last = text.rpartition(":")
    scale = None
    try:
        scale = float(last) if colon else None
    except ValueError:
        rest = text
    rest = rest if colon and scale is not None else text
    kind, equals, file = rest.partition("=")
    if kind not in CONTROLS:
        kind, file = "", rest
    elif equals and not file.strip():
        raise ValueError(f"is '{text}': write KIND, KIND=FILE or FILE, with :SCALE behind it or not")
    if not kind and not file.strip():
        raise ValueError(f"is '{text}': write KIND, KIND=FILE or FILE, with :SCALE behind it or not")
    if scale is not None and not 0 <= scale <= 2:
        raise ValueError(f"is '{text}': a scale is a number from 0 to 2")
    return ControlParts(kind, file, scale)


def _control(text: str) -> str:
    control_parts(text)
    return text


Control = Annotated[str, AfterValidator(_control), NamesFile(lambda text: control_parts(text).file)]
"""[KIND=]FILE[:scale], or KIND[:scale]."""
BY_MASK = Only("method", "auto", "inpaint", *CONTROLS)


class Edit(Drawn, Instructed, Steered, Recipe):
    """Change what is asked in a photo or in every photo of a folder, keep the rest, and measure both."""

    positional: ClassVar = ("photo", "prompt")
    repeatable: ClassVar = True
    resumes: ClassVar = True
    shared_by: ClassVar = "photo"

    kind: Literal["edit"] = "edit"
    """The kind of job."""
    photo: PicturesName
    """Photo, or folder of photos."""
    prompt: Prompt
    """Instruction for instruct ("make it night"), description of the edited photo for the other methods."""
    method: Method = "auto"
    """Way to edit: by instruction, by redrawing the photo, inside a mask, or by a control map (ControlNet, or
    T2I-Adapter). auto takes what the words, the mask and the models at hand allow, and says why.
    """
    strength: Annotated[
        Strength | None,
        Only("method", "auto", "redraw", "inpaint", *CONTROLS),
    ] = None
    """How far the picture may leave the photo; more changes more. When not given the model's own; a method by a control
    map then starts from noise alone, and not from the photo.
    """
    mask: Annotated[PictureName | None, BY_MASK] = None
    """Mask picture of the photo's proportions; white is changed, black is kept. With a method by a control map the
    map is followed inside it.
    """
    mask_feather: Annotated[int, Field(ge=0, le=500), BY_MASK] = 0
    """Width of the mask's soft edge in pixels of the photo; 0 is a hard edge, outside which nothing changes."""
    mask_invert: Annotated[bool, BY_MASK] = False
    """Change what is black in the mask, and keep what is white."""
    control: Annotated[tuple[Control, ...], BY_MAP, Repeated()] = ()
    """Control map as FILE or KIND=FILE, or KIND to make it from the photo, with :SCALE behind it; may be given several
    times, each is followed.
    """
    show_control: Annotated[bool, BY_MAP] = False
    """Save the control maps that were followed."""
    caption: Prompt | None = None
    """What the photo shows, in your words: joined to a description, and what the edit is measured from. Captioned by
    the model when not given.
    """
    keep_details: Literal["auto", "yes", "no"] = "auto"
    """Carry the change of light and colour to the photo at its full size, and keep the photo's own pixels otherwise.
    auto does so where that explains the change.
    """
    count: Count = 1
    """Pictures of each photo."""
    model: Annotated[ModelName, Plays("instruct", "inpaint")] = "pocket"
    """Model that edits: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""
    depth_model: ModelName | None = None
    """Model of depth, which makes depth maps and judges how depth is kept. Maps: the model's own family's or
    depth-small when not given; judging: the first of these and the judge's family's that is on this machine.
    """
    judge: ModelName = "pocket"
    """Family of models that scores the pictures."""
    captioner: ModelName = "pocket"
    """Model that captions the photo."""

    @model_validator(mode="after")
    def _what_fits_together(self) -> Edit:
        if self.method == "inpaint" and self.mask is None:
            raise ValueError("mask is missing: inpaint changes what is white in it")
        kinds = {control_parts(text).kind for text in self.control}
        if self.method in READY_ONLY and "" not in kinds and self.method not in kinds:
            raise ValueError(f"control is missing: {self.method} maps are not made from photos, give one with its FILE")
        for text in self.control:
            kind, file, _ = control_parts(text)
            if kind in READY_ONLY and not file:
                raise ValueError(f"control: {kind} maps are not made from photos: write {kind}=FILE")
        if self.strength and int(self.steps * self.strength) < 1:
            raise ValueError(f"steps: {self.steps} at strength {self.strength:g} are less than one")
        return self
