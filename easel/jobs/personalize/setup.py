"""What a personalising begins with, the same in all of its processes: photos, model, what learns in it, the trainer."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.personalize import photos as photo_files
from easel.jobs.personalize import prior, words
from easel.jobs.personalize.photos import Photo
from easel.jobs.personalize.words import EvaluationPrompt
from easel.models.catalog import locate
from easel.models.diffusion import inversion, latents, lora, prompts, schedulers
from easel.models.diffusion.lora_formats import COMPONENTS
from easel.models.diffusion.settings import Sampling
from easel.recipes.personalize import HOLE, Personalize
from easel.training import finetune
from easel.training.distributed import Team
from easel.training.finetune import Denoiser, Example, Examples, FinetunePlan, Learning
from easel.training.trainer import Trainer, seed_of
from easel.workspace import Workspace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from easel.models.diffusion import Diffusion

CHECKPOINT = "training/checkpoint.safetensors"
"""In the folder of a run."""
ADAPTER = "subject"
"""Name of the LoRA in the model's layers."""
COMPARED = 8
"""Pictures of the class by which is told what became of it."""
FORGETS = ("lora", "full")
"""Methods after which the class may have become the subject; a new word changes nothing else."""
CHOSEN = (
    "learning_rate", "steps", "batch_size", "rank", "targets", "prior_weight", "prior_pictures", "new_token",
    "text_learning_rate",
)  # fmt: skip
"""What a recipe may say of the plan."""


@dataclass(eq=False)
class Encoder:
    """Prompts -> hidden states and pooled ones. Where no text encoder learns each prompt is read once."""

    pipeline: Any
    learns: bool
    chunks: int
    kept: dict[tuple[int, str], finetune.Words] = field(default_factory=dict)
    """What was read, by chunks and prompt."""

    def __call__(self, texts: Sequence[str]) -> finetune.Words:
        """States (n, tokens, width) and pooled (n, width) or None."""
        import torch

        made = {text: self._read(text) for text in dict.fromkeys(texts)}
        pooled = [made[text][1] for text in texts]
        whole = [one for one in pooled if one is not None]
        return torch.cat([made[text][0] for text in texts]), torch.cat(whole) if whole else None

    def _read(self, text: str) -> finetune.Words:
        if self.learns:
            return prompts.encode_to_learn(self.pipeline, text, self.chunks)
        key = self.chunks, text
        if key not in self.kept:
            self.kept[key] = prompts.encode(self.pipeline, text, self.chunks)
        return self.kept[key]


@dataclass(eq=False)
class Caches:
    """What trainings share: latents of pictures, what frozen text encoders make of prompts, and the pictures of models
    that have not learned yet with their numbers; by what they depend on.
    """

    latents: dict[Hashable, Tensor] = field(default_factory=dict)
    words: dict[Hashable, dict[tuple[int, str], finetune.Words]] = field(default_factory=dict)
    untrained: dict[Hashable, Any] = field(default_factory=dict)

    def latent(self, base: Base, picture: Image.Image) -> Tensor:
        """The latent (c, h, w) of a picture, on the CPU."""
        key = base.key, picture.size, picture.mode, hashlib.sha256(picture.tobytes()).digest()
        if key not in self.latents:
            self.latents[key] = latents.encode(base.model.pipeline.vae, picture)[0].cpu()
        return self.latents[key]


@dataclass(frozen=True, eq=False)
class Untouched:
    """What the model drew before it learned: of the class, and of the subject told in words, by prompt."""

    of_class: list[Image.Image] = field(default_factory=list)
    told: list[tuple[EvaluationPrompt, list[Image.Image]]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Training:
    """All that one process trains with."""

    recipe: Personalize
    plan: FinetunePlan
    model: Diffusion
    source: Path
    """Where the base model lies."""
    base: str
    """The fingerprint of its weights."""
    learned: list[Photo]
    held_back: list[Photo]
    broken: dict[str, str]
    subject: str
    """What the subject is called in prompts."""
    token: str | None
    """The word that is learned, where there is one."""
    side: int
    evaluation: list[EvaluationPrompt]
    untouched: Untouched
    examples: Examples
    denoiser: Denoiser
    trainer: Trainer

    @property
    def photos(self) -> list[Photo]:
        """All of them."""
        return [*self.learned, *self.held_back]

    @property
    def sampling(self) -> Sampling:
        """How pictures are drawn to be looked at."""
        return sampling_of(self.recipe, self.side)

    @contextlib.contextmanager
    def drawing(self) -> Iterator[Diffusion]:
        """The model as it draws: with its averaged weights where there are some, in the precision of its training."""
        import torch

        unet, precision = self.model.pipeline.unet, self.trainer.precision
        whole = precision is not None and unet.dtype == torch.float32
        modes = {name: player.training for name, player in self.trainer.players.items()}
        self.model.refresh()
        try:
            for player in self.trainer.players.values():
                player.eval()
            with self.trainer.averaging(), torch.autocast(unet.device.type, precision or torch.bfloat16, enabled=whole):
                yield self.model
        finally:
            for name, player in self.trainer.players.items():
                player.train(modes[name])
            self.model.refresh()


def class_seeds(recipe: Personalize, count: int) -> list[int]:
    """The seeds of pictures of the class: not those of evaluations."""
    return [seed_of(recipe.seed, at, -5) % 2**32 for at in range(count)]


def evaluation_seeds(recipe: Personalize, number: int) -> list[int]:
    """The seeds of an evaluation prompt's pictures, by its number."""
    return [(recipe.seed + number * recipe.count + turn) % 2**32 for turn in range(recipe.count)]


def sampling_of(recipe: Personalize, side: int) -> Sampling:
    """How pictures are drawn to be looked at, at the size that photos are learned at."""
    return Sampling(steps=recipe.sampling_steps, width=side, height=side)


@dataclass(frozen=True, eq=False)
class Base:
    """The model before it learns, and what it decides: the plan, the pixels a side, what sides are multiples of."""

    model: Diffusion
    source: Path
    fingerprint: str
    plan: FinetunePlan
    side: int
    unit: int

    @property
    def key(self) -> Hashable:
        """What tells it from other bases."""
        return str(self.source), self.fingerprint, self.model.dtype


def load_base(recipe: Personalize, workspace: Workspace, team: Team) -> Base:
    """The model, in float32 where its own weights will learn. Raises EaselError on what it cannot learn by."""
    located = locate.find(recipe.model, "text-to-image")
    is_whole = recipe.method == "full" or workspace.computed_in == "float16"
    with workspace.phase("loading the model"):
        dtype = "float32" if is_whole else workspace.computed_in
        model = models.load(recipe.model, "text-to-image", workspace.device, dtype, config=recipe.config)
    chosen = {name: getattr(recipe, name) for name in CHOSEN}
    if recipe.optimizer == finetune.PRODIGY and recipe.learning_rate is None:
        chosen["learning_rate"] = 1.0
    plan = finetune.plan_for(recipe.method, model.defaults.personalize, chosen)
    if plan.batch_size % team.size:
        raise EaselError(f"batch_size {plan.batch_size} cannot be shared among {team.size} processes: take a multiple")
    side = recipe.resolution or min(model.default_size)
    unet = model.pipeline.unet
    unit = int(model.pipeline.vae_scale_factor) * 2 ** (len(unet.config.block_out_channels) - 1)
    if side % unit:
        nearest = max(1, side // unit) * unit
        raise EaselError(f"resolution {side}: this model needs a multiple of {unit}, such as {nearest}")
    return Base(model, located.path, lora.fingerprint(model.pipeline), plan, side, unit)


def set_up(recipe: Personalize, workspace: Workspace, team: Team, caches: Caches | None = None) -> Training:
    """Read the photos, load the model, choose what learns, on the workspace's device. Raises EaselError, Cancelled."""
    import torch

    caches = caches or Caches()

    # The model, the photos and their words
    base = load_base(recipe, workspace, team)
    plan, pipeline = base.plan, base.model.pipeline
    is_token = recipe.method == "textual-inversion" or plan.new_token
    subject = words.subject_words(recipe, is_token=is_token)
    evaluation = words.evaluation_prompts(recipe, subject)
    found, broken = photo_files.found(recipe, workspace, base.side, base.unit)
    found = photo_files.captioned(found, recipe, subject, workspace)
    learned, held_back = photo_files.parted(found, recipe.hold_back)

    # Pictures by the untouched model, before anything learns
    def once(prompt: str, seeds: Sequence[int]) -> list[Image.Image]:
        asked = sampling_of(recipe, base.side)
        return prior.drawn_once(base.model, base.fingerprint, prompt, asked, seeds, workspace)

    of_class = words.class_prompt(recipe)
    pictures = once(of_class, class_seeds(recipe, plan.prior_pictures)) if plan.prior_weight else []
    untouched = Untouched()
    if team.rank == 0:
        told = []
        for number, one in enumerate(evaluation if recipe.description else ()):
            text = one.template.replace(HOLE, words.bare(recipe.description or ""))
            told.append((one, once(text, evaluation_seeds(recipe, number))))
        compared = once(of_class, class_seeds(recipe, COMPARED)) if recipe.method in FORGETS else []
        untouched = Untouched(compared, told)

    # What learns: an optimizer will hold the weights that ask for a gradient
    torch.manual_seed(recipe.seed)
    token = words.word_of(recipe.identifier) if is_token else None
    players = choose(recipe, plan, pipeline, token)
    if recipe.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()

    # The trainer, with latents and embeddings worked out once
    chunks = max(prompts.count_chunks(pipeline, text) for text in [*(photo.caption for photo in learned), of_class])
    encode = Encoder(pipeline, any(name != "unet" for name in players if _learns(players[name])), chunks)
    if not encode.learns:
        encode.kept = caches.words.setdefault(base.key, encode.kept)
    alphas, prediction = schedulers.noise_schedule(pipeline.scheduler)
    denoiser = Denoiser(alphas, prediction, encode, plan.prior_weight, recipe.snr_gamma, recipe.offset_noise)
    instance, kept = examples_of(recipe, base, learned, pictures, workspace, caches)
    examples = Examples(instance, kept, plan.batch_size, recipe.seed, team)
    learning = Learning(recipe.optimizer, recipe.weight_decay, recipe.lr_schedule, recipe.warmup, recipe.ema)
    precision = torch.bfloat16 if workspace.computed_in == "bfloat16" else None
    trainer = finetune.trainer_for(players, learning, plan, denoiser, examples, precision)
    return Training(
        recipe=recipe,
        plan=plan,
        model=base.model,
        source=base.source,
        base=base.fingerprint,
        learned=learned,
        held_back=held_back,
        broken=broken,
        subject=subject,
        token=token,
        side=base.side,
        evaluation=evaluation,
        untouched=untouched,
        examples=examples,
        denoiser=denoiser,
        trainer=trainer,
    )


def examples_of(
    recipe: Personalize,
    base: Base,
    learned: Sequence[Photo],
    pictures: Sequence[Image.Image],
    workspace: Workspace,
    caches: Caches,
) -> tuple[list[Example], list[Example]]:
    """Photos and pictures of the class as they are learned, encoded once."""
    import torch

    instance, kept = [], []
    side = base.side
    with workspace.phase("encoding photos", len(learned) + len(pictures)) as done:
        for number, photo in enumerate(learned, 1):
            instance.append(example(base, photo, recipe, caches))
            done(number)
        for number, picture in enumerate(pictures, len(learned) + 1):
            ids = torch.tensor((side, side, 0, 0, side, side), dtype=torch.float32)
            kept.append(Example(caches.latent(base, picture), words.class_prompt(recipe), time_ids=ids))
            done(number)
    return instance, kept


def example(base: Base, photo: Photo, recipe: Personalize, caches: Caches) -> Example:
    """A photo as it is learned."""
    import numpy as np
    import torch
    from PIL import ImageOps

    picture, mask = photo.picture(), photo.mask_picture()
    latent = caches.latent(base, picture)
    mirrored = caches.latent(base, ImageOps.mirror(picture)) if recipe.mirror else None
    marked: Tensor | None = None
    if mask is not None:
        levels = torch.from_numpy(np.asarray(mask, np.float32) / 255)[None, None]
        marked = torch.nn.functional.interpolate(levels, latent.shape[1:], mode="area")[0]
    return Example(latent, photo.caption, mirrored, marked, torch.tensor(photo.time_ids, dtype=torch.float32))


def choose(recipe: Personalize, plan: FinetunePlan, pipeline: Any, token: str | None) -> dict[str, torch.nn.Module]:
    """The players: the UNet, and the text encoders where something of them learns. Weights that learn ask for a
    gradient and are float32; all others are frozen. Raises EaselError.
    """
    encoders = [name for name in COMPONENTS[1:] if getattr(pipeline, name, None) is not None]
    parts = ["unet", *(encoders if recipe.text_encoder else [])]
    for name in ("vae", *COMPONENTS):
        if getattr(pipeline, name, None) is not None:
            getattr(pipeline, name).requires_grad_(False)
    if recipe.method == "lora":
        shape = lora.Shape(plan.rank, recipe.alpha or plan.rank, plan.targets, recipe.dora)
        lora.attach(pipeline, ADAPTER, parts, shape)
    elif recipe.method == "full":
        for part in parts:
            getattr(pipeline, part).float().requires_grad_()
    if token is not None:
        tables = inversion.add(pipeline, begun(pipeline, token, recipe.initial_word or recipe.noun, recipe.vectors))
        for table in tables:  # the added rows alone
            table.rows.requires_grad_()
            table.table.requires_grad_(False)
    named = dict.fromkeys([*parts, *(encoders if token is not None else [])])
    return {name: getattr(pipeline, name).train() for name in named}


def begun(pipeline: Any, token: str, word: str, vectors: int) -> inversion.Embedding:
    """A new word that means what another does: the mean of that one's vectors. Raises EaselError where the tokenizer
    makes nothing of it.
    """
    import torch

    rows = []
    for tokenizer, encoder in prompts.encoders(pipeline):
        ids = tokenizer(word, add_special_tokens=False).input_ids
        if not ids:
            raise EaselError(f"initial_word: the tokenizer makes nothing of '{word}': use another")
        table = encoder.get_input_embeddings()
        with torch.no_grad():
            mean = table(torch.tensor(ids, device=encoder.device)).float().mean(dim=0)
        rows.append(mean.repeat(vectors, 1))
    return inversion.Embedding(token, tuple(rows))


def _learns(player: torch.nn.Module) -> bool:
    return any(weight.requires_grad for weight in player.parameters())
