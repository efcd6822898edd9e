"""Recipe: teach a model a subject from a few photos."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Flag, FolderName, ModelName, Name, Only, Prompt, Steps, finite

Rate = Annotated[float, Field(gt=0, le=10), AfterValidator(finite)]
Several = Annotated[int, Field(ge=1, le=1024)]
WEIGHTS = Only("method", "lora", "full")
LORA = Only("method", "lora")
HOLE = "{subject}"
"""In a template or an evaluation prompt, where the subject's words go."""


def _template(text: str) -> str:
    if HOLE not in text:
        raise ValueError(f"is '{text}': write {HOLE} where the subject's words go, as in 'a photo of a {HOLE}'")
    return text


def split_subject(subject: str, class_noun: str | None) -> tuple[str, str]:
    """Identifier and class noun: 'sks dog' is ('sks', 'dog'), also where the class noun is said again beside it.

    Raises ValueError where there is no class noun, or nothing but it.
    """
    words = subject.split()
    noun = (class_noun or " ".join(words[1:])).split()
    if not noun:
        raise ValueError(
            f"class is missing: '{subject}' is one word; say what kind of thing it is, as in --subject 'sks dog', or "
            "with --class dog"
        )
    own = words[: -len(noun)] if words[-len(noun) :] == noun else words
    if not own:
        raise ValueError(
            f"subject: '{subject}' is the class alone: put a word before it that means nothing yet, such as "
            f"'sks {subject}'"
        )
    return " ".join(own), " ".join(noun)


class Personalize(Recipe):
    """Teach a model a subject from a few photos, and see, while it learns, how like it the pictures become."""

    positional: ClassVar = ("photos",)
    resumes: ClassVar = True
    heavy: ClassVar = True
    has_checkpoints: ClassVar = True
    alone: ClassVar = (
        "its processes speak to one another at every step, so they are started together, one for each GPU, by "
        "`accelerate launch` or `torchrun`; leave --on out"
    )
    # photos may lie elsewhere: what is in them may not change, which their hash shows
    free: ClassVar = frozenset({"easel", "seed", "photos", "steps", "stop_early", "licence"})

    kind: Literal["personalize"] = "personalize"
    """The kind of job."""
    photos: FolderName
    """Folder of photos of one subject; three to twenty are usual."""
    subject: Prompt
    """Identifier and class noun, such as "sks dog": what the subject will be called in prompts."""
    class_noun: Annotated[Prompt | None, Flag("class")] = None
    """What kind of thing the subject is, such as dog; the subject's words after the first when not given."""
    method: Literal["lora", "full", "textual-inversion"] = "lora"
    """What learns: a small addition to the weights (lora), all of the UNet (full, DreamBooth), or a new word alone."""
    text_encoder: Annotated[bool, WEIGHTS] = False
    """Let the text encoder learn too; it is frozen otherwise."""
    new_token: Annotated[bool | None, WEIGHTS] = None
    """Make the identifier a token of its own that begins as the class noun and learns, instead of the letters that the
    tokenizer makes of it; the model's own when not given.
    """
    initial_word: Prompt | None = None
    """Word that a new token begins as; the class noun when not given."""
    vectors: Annotated[int, Field(ge=1, le=32), Only("method", "textual-inversion")] = 1
    """Vectors of the new word; more hold more of the subject and leave prompts less room."""
    rank: Annotated[Several | None, LORA] = None
    """Rank of the LoRA; more can learn more and take more room. The model's own when not given."""
    alpha: Annotated[float | None, Field(gt=0, le=4096), LORA] = None
    """Alpha of the LoRA, which counts alpha / rank times; the rank when not given."""
    targets: Annotated[tuple[Name, ...], LORA] = ()
    """Layers that a LoRA is laid beside: attention, all (linear layers and convolutions), or endings of their names;
    the model's own when not given.
    """
    dora: Annotated[bool, LORA] = False
    """Learn the lengths of the weights' rows apart from their directions (DoRA)."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Training length in steps; the method's and model's own when not given."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Photos in a step; the model's own when not given."""
    learning_rate: Rate | None = None
    """Learning rate; more learns faster until it runs away. The method's and model's own when not given."""
    text_learning_rate: Annotated[Rate | None, WEIGHTS] = None
    """Learning rate of the text encoder, or of a new token; the learning rate when not given."""
    optimizer: Literal["adamw", "adamw-8bit"] = "adamw"
    """Optimizer; adamw-8bit keeps its moments in a byte each and needs the package bitsandbytes."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay of AdamW."""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the steps: constant, or down half a cosine to 2 %."""
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Steps in which the learning rate rises to its full."""
    gradient_checkpointing: bool = False
    """Work parts of the UNet out twice instead of keeping them: less memory, slower."""
    ema: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Decay of a moving average of the weights, which is then what is measured and kept; none when not given."""
    prior_weight: Annotated[float | None, Field(ge=0, le=100), WEIGHTS] = None
    """Weight of prior preservation (lambda): how much pictures of the class count beside the photos, so that the class
    stays what it was; 0 is none. The method's own when not given.
    """
    prior_pictures: Annotated[int | None, Field(ge=1, le=10_000), WEIGHTS] = None
    """Pictures of the class for prior preservation, drawn once and kept; the model's own number when not given."""
    snr_gamma: Annotated[float | None, Field(gt=0, le=100)] = None
    """Gamma of min-SNR weighting, 5 is usual; all noise counts the same when not given."""
    offset_noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of noise that is the same all over the picture, 0.1 is usual; lets pictures be darker and brighter."""
    captions: Literal["auto", "template", "files", "captioner"] = "auto"
    """Words of each photo: the template's, those beside the photos (metadata.jsonl, or NAME.txt), or the captioner's.
    auto takes files where every photo has one.
    """
    template: Annotated[Prompt, AfterValidator(_template)] = "a photo of a {subject}"
    """Caption of every photo where nothing else says it; {subject} stands for the subject's words."""
    captioner: ModelName = "pocket"
    """Model that captions the photos."""
    resolution: Annotated[int, Field(ge=64, le=2048, multiple_of=8)] | None = None
    """Pixels a side at which photos are learned; the model's own when not given."""
    fit: Literal["smart", "centre", "buckets"] = "smart"
    """How photos are brought to size: the square with most detail or the middle one is cut out, or photos keep their
    shape and those of a like shape are learned together.
    """
    mirror: bool = False
    """Learn mirrored photos too: not for faces, letters, and what is not the same on both sides."""
    masks: FolderName | None = None
    """Folder of masks with the names of the photos: only what is white in them is learned."""
    hold_back: Annotated[int, Field(ge=0, le=100)] | None = None
    """Photos that are not learned, to measure likeness by; one of every five when not given."""
    skip_broken: bool = False
    """Go on without photos that cannot be opened."""
    evaluate_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Steps from one evaluation to the next; a quarter of the steps when not given."""
    prompts: FileName | None = None
    """YAML set of evaluation prompts (name, prompt, negative_prompt), with {subject} in them, or a .txt file in the
    layout of the DreamBooth paper's prompts_and_classes.txt; easel's own when not given.
    """
    description: Prompt | None = None
    """The subject in words, such as "a blue dog with red glasses": what the untouched model makes of them is scored
    beside.
    """
    sampling_steps: Steps = 20
    """Denoising steps of evaluation and class pictures."""
    stop_early: bool = False
    """End when three evaluations in a row were no better than the best."""
    judge: ModelName | None = None
    """Family that scores the pictures: pocket, base, large, or a folder; when not given, the model's own, or else the
    best one at hand.
    """
    config: FolderName | None = None
    """Folder with the configs and tokenizer of a single .safetensors file, instead of the hub's."""
    licence: Name | None = None
    """Licence of the result, for the model card; the base model's when not given."""
    count: Count = 2
    """Pictures for each evaluation prompt; with one alone there is no diversity to measure."""
    model: ModelName = "pocket"
    """Model that learns: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""

    @model_validator(mode="after")
    def _what_fits_together(self) -> Personalize:
        split_subject(self.subject, self.class_noun)
        if self.prior_weight == 0 and self.prior_pictures is not None:
            raise ValueError("prior_pictures: prior_weight is 0, so no picture of the class is used: leave one out")
        return self

    @property
    def identifier(self) -> str:
        """The words that mean this subject alone."""
        return split_subject(self.subject, self.class_noun)[0]

    @property
    def noun(self) -> str:
        """What kind of thing it is."""
        return split_subject(self.subject, self.class_noun)[1]
