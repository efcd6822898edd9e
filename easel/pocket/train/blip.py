"""Pocket's captioner and its answerer: two BLIP models (Li et al. 2022) taught together on one picture encoder.

The encoder also names the facts of the picture (kind, colour, place ...) through linear heads, and tells the features
that a convolutional network finds at each place; these heads are thrown away afterwards. They are what makes a small
vision transformer learn in minutes instead of hours. First it learns from them alone, in half the time a step, since it
is the eyes and not the words that take long.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForQuestionAnswering,
    BlipImageProcessorPil,
    BlipProcessor,
)

from easel.pocket.train import samples, spotter
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.heads import EXTRAS, FACTS, name_facts
from easel.pocket.train.pictures import Pixels
from easel.pocket.train.text import ids
from easel.pocket.train.unet import Latents
from easel.pocket.train.vae import to_tensor
from easel.training.trainer import Context, Measured, autocast, device_of

SIDE, PATCH, WIDTH = 256, 16, 160
BATCH, ASKED = 32, 3
SCHEDULE = Schedule(steps=9500, lr=2e-3, warmup=200, weight_decay=0.02, average_decay=0.998, muon=True)
LOOKING = 0.5
"""Share of the steps in which only the encoder learns."""


def config(tokenizer: Any, text_layers: int) -> BlipConfig:
    """A BLIP of WIDTH channels whose special tokens are those of ``tokenizer``."""
    vision = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=6, num_attention_heads=4)
    text = dict(hidden_size=WIDTH, encoder_hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_attention_heads=4)
    special = dict(bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id)
    special |= dict(sep_token_id=tokenizer.sep_token_id, eos_token_id=tokenizer.sep_token_id)
    return BlipConfig(
        vision_config=vision | dict(image_size=SIDE, patch_size=PATCH, initializer_range=0.02, projection_dim=WIDTH),
        text_config=text
        | special
        | dict(vocab_size=len(tokenizer), num_hidden_layers=text_layers, max_position_embeddings=96),
        projection_dim=WIDTH,
        image_text_hidden_size=WIDTH,
    )


class Pair(nn.Module):
    """Captioner and answerer around one vision model, and the heads that name facts."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.captioner = BlipForConditionalGeneration(config(tokenizer, 2))
        self.answerer = BlipForQuestionAnswering(config(tokenizer, 2))
        self.answerer.vision_model = self.captioner.vision_model
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, len(values)) for name, values in FACTS.items()})
        self.extras = nn.Linear(WIDTH, len(EXTRAS))
        self.places = nn.ModuleList(nn.Linear(WIDTH, width) for width in spotter.WIDTHS[1:3])

    def places_missed(self, seen: Tensor, found: list[Tensor]) -> Tensor:
        """How far the patches are from telling the spotter's features at their places: 0 all right, 2 nothing."""
        grid, total = SIDE // PATCH, seen.new_zeros(())
        for tell, stage in zip(self.places, found, strict=True):
            goal = nn.functional.interpolate(stage, (grid, grid), mode="bilinear").flatten(2).mT
            total = total + 2 - 2 * nn.functional.cosine_similarity(tell(seen[:, 1:]), goal, dim=2).mean()
        return total / len(found)

    def see(self, pixels: Tensor) -> Tensor:
        """(n, 3, SIDE, SIDE) -> (n, tokens, WIDTH)."""
        seen: Tensor = self.captioner.vision_model(pixel_values=pixels).last_hidden_state
        return seen


def decode_loss(decoder: nn.Module, tokenizer: Any, texts: list[str], states: Tensor, mask: Tensor | None) -> Tensor:
    """Teacher-forced loss of the texts, each beginning with [DEC] and ending with [SEP]."""
    longest = max(len(tokenizer(t).input_ids) for t in set(texts))
    tokens, attention = (x.to(states.device) for x in ids(tokenizer, texts, min(longest, 48)))
    tokens[:, 0] = tokenizer.bos_token_id
    labels = tokens.masked_fill(attention == 0, -100)
    made = decoder(
        input_ids=tokens,
        attention_mask=attention,
        encoder_hidden_states=states,
        encoder_attention_mask=mask,
        labels=labels,
        reduction="mean",
    )
    value: Tensor = made.loss
    return value


def answer_loss(pair: Pair, tokenizer: Any, seen: Tensor, asked: list[tuple[str, str]]) -> Tensor:
    """Loss of the answers to ASKED questions a picture."""
    states = seen.repeat_interleave(ASKED, dim=0)
    tokens, attention = (x.to(seen.device) for x in ids(tokenizer, [question for question, _ in asked], 24))
    keep = int(attention.sum(1).max())
    tokens, attention = tokens[:, :keep], attention[:, :keep]
    encoded = pair.answerer.text_encoder(
        input_ids=tokens, attention_mask=attention, encoder_hidden_states=states, return_dict=True
    ).last_hidden_state
    return decode_loss(pair.answerer.text_decoder, tokenizer, [a for _, a in asked], encoded, attention)


def begin(tokenizer: Any) -> Pair:
    """Both, untaught."""
    torch.manual_seed(1)
    return Pair(tokenizer)


def run(
    pair: Pair, data: Latents, guide: spotter.Spotter, tokenizer: Any, work: Path, schedule: Schedule = SCHEDULE
) -> None:
    """Train both in place (or go on); ``guide`` sees the latents of the same pictures."""
    device, guide = device_of(pair), guide.to(device_of(pair))

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((21, context.step))
        rows, latents, pictures = data.draw(rng, BATCH)
        with autocast(pair):
            seen = pair.see(to_tensor(np.stack([small(picture) for picture in pictures])).to(device))
            with torch.no_grad():
                found = guide(torch.from_numpy(latents).to(device, memory_format=torch.channels_last))[1:3]
            missed = pair.places_missed(seen, found)
        facts = name_facts(pair, seen.float(), rows)
        total, numbers = 0.5 * facts + missed, {"facts": facts, "places": missed}
        if context.step >= LOOKING * schedule.steps:
            with autocast(pair):
                numbers |= {"caption": tell(rows, seen, rng), "answer": answer(rows, seen, rng)}
            total = total + numbers["caption"] + numbers["answer"]
        return Measured(total, numbers)

    def tell(rows: list[samples.Row], seen: Tensor, rng: np.random.Generator) -> Tensor:
        texts = [samples.caption(row, rng, canonical=bool(rng.random() < 0.7)) for row in rows]
        return decode_loss(pair.captioner.text_decoder, tokenizer, texts, seen, None)

    def answer(rows: list[samples.Row], seen: Tensor, rng: np.random.Generator) -> Tensor:
        asked = [ask for row in rows for ask in samples.questions(row, rng, ASKED)]
        return answer_loss(pair, tokenizer, seen, asked)

    fit(pair, loss, schedule, work / "blip.safetensors")


def small(picture: Pixels) -> Pixels:
    """The picture at SIDE px."""
    return np.asarray(cv2.resize(picture, (SIDE, SIDE)), np.uint8)


def image_processor() -> BlipImageProcessorPil:
    """The middle square of pictures, as they were learned, to (3, SIDE, SIDE) in [-1, 1]."""
    half = [0.5, 0.5, 0.5]
    crop = dict(size={"shortest_edge": SIDE}, do_center_crop=True, crop_size={"height": SIDE, "width": SIDE})
    return BlipImageProcessorPil(**crop, image_mean=half, image_std=half)


def processor(tokenizer: Any) -> BlipProcessor:
    """Picture and text together, as transformers' BLIP expects them."""
    return BlipProcessor(image_processor(), tokenizer)
