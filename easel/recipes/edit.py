"""Recipe: change one thing in a photo, and keep the rest."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, Drawn, FileName, ModelName, Only, Prompt, Repeated, Strength

CONTROLS = ("canny", "depth", "pose", "segmentation", "scribble")
"""Kinds of control maps; the first two and the last are made from the photo where no map is given."""
READY_ONLY = ("pose", "segmentation")
"""Kinds that nothing here makes from a photo."""
BY_CONTROL = (*CONTROLS, "adapter-canny", "adapter-depth")
"""Methods that follow a control map."""


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


Control = Annotated[str, AfterValidator(_control)]
"""[KIND=]FILE[:scale], or KIND[:scale]."""
Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[int, Field(ge=1, le=1000)]
BY_MAP = Only("method", "auto", *BY_CONTROL, title="control methods")
BY_MASK = Only("method", "auto", "inpaint")


class Edit(Drawn, Recipe):
    """Change what is asked in a photo or in every photo of a folder, keep the rest, and measure both."""

    positional: ClassVar = ("photo", "prompt")
    repeatable: ClassVar = True
    resumes: ClassVar = True

    kind: Literal["edit"] = "edit"
    """The kind of job."""
    photo: FileName
    """Photo, or folder of photos."""
    prompt: Prompt
    """Instruction for instruct ("make it night"), description of the edited photo for the other methods."""
    method: Method = "auto"
    """Way to edit: by instruction, by redrawing the photo, inside a mask, or by a control map (ControlNet, or
    T2I-Adapter). auto takes what the words, the mask and the models at hand allow, and says why.
    """
    strength: Annotated[Strength | None, Only("method", "auto", "redraw", "inpaint")] = None
    """How far the picture may leave the photo; more changes more. The model's own when not given."""
    image_guidance_scale: Annotated[float, Field(ge=1, le=10), Only("method", "auto", "instruct")] = 1.5
    """Image guidance scale of InstructPix2Pix; more keeps more of the photo."""
    mask: Annotated[FileName | None, BY_MASK] = None
    """Mask picture of the photo's proportions; white is changed, black is kept."""
    mask_feather: Annotated[int, Field(ge=0, le=500), BY_MASK] = 0
    """Width of the mask's soft edge in pixels of the photo; 0 is a hard edge, outside which nothing changes."""
    mask_invert: Annotated[bool, BY_MASK] = False
    """Change what is black in the mask, and keep what is white."""
    control: Annotated[tuple[Control, ...], BY_MAP, Repeated()] = ()
    """Control map as FILE or KIND=FILE, or KIND to make it from the photo, with :SCALE behind it; may be given several
    times, each is followed.
    """
    control_scale: Annotated[float, Field(ge=0, le=2), BY_MAP] = 1.0
    """Conditioning scale of control maps; more follows them more closely, 0 not at all."""
    control_start: Annotated[Share, BY_MAP] = 0.0
    """Share of the steps from which on control maps are followed."""
    control_end: Annotated[Share, BY_MAP] = 1.0
    """Share of the steps until which control maps are followed."""
    show_control: Annotated[bool, BY_MAP] = False
    """Save the control maps that were followed."""
    canny_low: Annotated[Level | None, BY_MAP] = None
    """Lower threshold of Canny edges; lower finds more of them. From the photo's light and dark (Otsu)
    when not given."""
    canny_high: Annotated[Level | None, BY_MAP] = None
    """Upper threshold of Canny edges; lower finds more of them. From the photo's light and dark (Otsu)
    when not given."""
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
    model: ModelName = "pocket"
    """Model that edits: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""
    control_model: Annotated[ModelName | None, BY_MAP] = None
    """ControlNet or T2I-Adapter of the method's kind; the one that goes with the model when not given."""
    depth_model: Annotated[ModelName | None, BY_MAP] = None
    """Model of depth that makes depth maps; when not given, pocket's with pocket, depth-small with others."""
    judge: ModelName = "pocket"
    """Family of models that scores the pictures."""
    captioner: ModelName = "pocket"
    """Model that captions the photo."""

    @model_validator(mode="after")
    def _what_fits_together(self) -> Edit:
        if self.method == "inpaint" and self.mask is None:
            raise ValueError("mask is missing: inpaint changes what is white in it")
        if self.control_start >= self.control_end:
            raise ValueError("control_start: must be less than control_end")
        if self.canny_low and self.canny_high and self.canny_low >= self.canny_high:
            raise ValueError("canny_low: must be less than canny_high")
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
