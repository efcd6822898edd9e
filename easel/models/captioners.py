"""Words about pictures: captions and answers, by BLIP (Li et al. 2022, arXiv 2201.12086)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.errors import EaselError
from easel.models import knowing
from easel.models.catalog.locate import LocatedModel
from easel.models.knowing import Knowing
from easel.models.vision import Vision, load_vision

MAX_TOKENS = 40
BEAMS = 3
BATCH = 16
MIN_SHARE = 1e-3
"""An answer's probability, as a share of the best one's, at least: below it are words put together by chance."""


@dataclass(frozen=True)
class Reading:
    """What a captioner says about a picture, and how far that can be trusted."""

    captions: list[str]
    """The first by beam search, the others sampled."""
    confidence: float
    """That the first is right, 0 to 1."""
    guess: bool = False
    """The captioner is out of its depth: the words are a guess."""
    silent: bool = False
    """So far out of it that the words are better not said."""
    instead: str = ""
    """A model that knows more, where the captioner names one."""

    @property
    def text(self) -> str:
        """What can honestly be said: the first caption, or 'a photo'."""
        return knowing.UNKNOWN if self.silent else self.captions[0]


class Captioner:
    """A loaded captioner (BlipForConditionalGeneration)."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("BlipForConditionalGeneration",), device, dtype, with_tokenizer=True)
        self._loaded.trial(lambda image: self._generated(self._loaded.pixels([image]), num_beams=BEAMS, tokens=2))
        self._knowing = read_knowing(located, self._loaded)

    def caption(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[list[str]]:
        """`count` captions of each picture: the first by beam search, always the same, the others sampled from
        `seed`.
        """
        return [reading.captions for reading in self.read(images, count, seed)]

    def read(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[Reading]:
        """`count` captions of each picture, as `caption` has them, and how far the first can be trusted."""
        if not images:
            return []
        pixels = self._loaded.pixels(images)
        told, known = self._beamed(pixels), self._knowing
        readings = []
        for number, ((text, likely), distance) in enumerate(zip(told, self.distances(images), strict=True)):
            lines = self._sampled(pixels[number : number + 1], count - 1, seed) if count > 1 else []
            sure = known.confidence(likely, float(distance))
            guess, silent = sure < known.guess_below, sure < known.silent_below
            readings.append(Reading([text, *lines], sure, guess, silent, known.instead))
        return readings

    def distances(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """How far each picture is from all that the captioner learned from, (n,); 0 where it does not know."""
        return distances(self._loaded, self._knowing, images)

    def out_of_depth(self, images: Sequence[Image.Image]) -> list[bool]:
        """Whether each picture is unlike all that the captioner learned from, whatever is said about it."""
        return self._knowing.out_of_depth(features(self._loaded, images))

    def _beamed(self, pixels: Any) -> list[tuple[str, float]]:
        """Each picture's caption by beam search, and the mean log probability of its tokens, the end included."""
        import torch

        model = self._loaded.model
        with torch.no_grad():
            made = model.generate(
                pixel_values=pixels,
                max_new_tokens=MAX_TOKENS,
                num_beams=BEAMS,
                do_sample=False,
                output_scores=True,
                return_dict_in_generate=True,
            )
            odds = model.text_decoder.compute_transition_scores(made.sequences, made.scores, made.beam_indices)
        written = (made.beam_indices[:, : odds.shape[1]] >= 0).to(odds.dtype)  # -1 is what stands after the end
        means = torch.where(written > 0, odds, 0.0).sum(dim=1) / written.sum(dim=1).clamp(min=1)
        return list(zip(self._loaded.decoded(made.sequences), means.tolist(), strict=True))

    def _sampled(self, pixels: Any, count: int, seed: int) -> list[str]:
        """Captions of one picture, drawn by itself so that its neighbours cannot change them (top-p, Holtzman et al.
        2020).
        """
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._generated(pixels, do_sample=True, top_p=0.9, num_beams=1, num_return_sequences=count)

    def _generated(self, pixels: Any, tokens: int = MAX_TOKENS, **options: Any) -> list[str]:
        import torch

        with torch.no_grad():
            made = self._loaded.model.generate(pixel_values=pixels, max_new_tokens=tokens, **options)
        return self._loaded.decoded(made)


@dataclass(frozen=True)
class Trust:
    """How far an answerer can be trusted about a picture and a question, whatever it answers."""

    knowing: float = 1.0
    """0 to 1: an answer's confidence is its probability times this."""
    guess_below: float = 0.0
    instead: str = ""
    """A model that knows more, where the answerer names one."""

    def confidence(self, probability: float) -> float:
        """That an answer of this probability is right, 0 to 1."""
        return probability * self.knowing

    def guess(self, probability: float) -> bool:
        """Whether an answer of this probability, the best there is, is a guess."""
        return self.confidence(probability) < self.guess_below


def read_knowing(located: LocatedModel, loaded: Vision) -> Knowing:
    """What is known of a loaded reader's limits. Raises EaselError where that was found of another model."""
    found = knowing.read(located.path)
    width = loaded.model.config.vision_config.hidden_size
    if found.depth is not None and found.depth.mean.size != width:
        raise EaselError(f"{located.path / knowing.DEPTH} is of another model: its width is not {width}")
    return found


def features(loaded: Vision, images: Sequence[Image.Image]) -> NDArray[np.float64]:
    """What a reader's eye makes of each picture, (n, width): the mean of its patches' states."""
    import torch

    if not images:
        return np.empty((0, int(loaded.model.config.vision_config.hidden_size)))
    with torch.no_grad():
        states = loaded.model.vision_model(pixel_values=loaded.pixels(images)).last_hidden_state
    found: NDArray[np.float64] = states[:, 1:].mean(dim=1).double().cpu().numpy()
    return found


def distances(loaded: Vision, known: Knowing, images: Sequence[Image.Image]) -> NDArray[np.float64]:
    """How far each picture is from all that a reader learned from, (n,); 0 where it does not know."""
    return np.zeros(len(images)) if known.depth is None else known.distances(features(loaded, images))


class Answerer:
    """A loaded question answerer (BlipForQuestionAnswering)."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("BlipForQuestionAnswering",), device, dtype, with_tokenizer=True)
        self._loaded.trial(lambda image: self.yes([image], ["is it?"]))
        self._knowing = read_knowing(located, self._loaded)

    def knows(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Trust]:
        """For each picture and its question how far an answer can be trusted, beyond its own probability."""
        known, found = self._knowing, []
        for far, question in zip(distances(self._loaded, known, images), questions, strict=True):
            everywhere = any(words.casefold() in question.casefold() for words in known.known_everywhere)
            sure = 1.0 if known.depth is None or everywhere else known.confidence(0.0, float(far))
            found.append(Trust(sure, known.guess_below, known.instead))
        return found

    def answers(
        self, images: Sequence[Image.Image], questions: Sequence[str], count: int = 1
    ) -> list[list[tuple[str, float]]]:
        """For each picture and its question at most `count` of the most probable answers with their probabilities, best
        first; those that hardly count beside the best one are left out.
        """
        import torch

        found = []
        for image, question in zip(images, questions, strict=True):
            states = self._encoded([image], [question])
            beams = max(BEAMS, count)
            with torch.no_grad():
                made = self._loaded.model.text_decoder.generate(
                    input_ids=self._start(1),
                    encoder_hidden_states=states,
                    eos_token_id=self._loaded.model.config.text_config.sep_token_id,
                    pad_token_id=self._loaded.model.config.text_config.pad_token_id,
                    num_beams=beams,
                    num_return_sequences=beams,
                    max_new_tokens=10,
                    do_sample=False,
                )
            candidates = list(dict.fromkeys(self._loaded.decoded(made)))
            odds = [float(self._log_odds(states, candidate).exp()[0]) for candidate in candidates]
            likely = [pair for pair in zip(candidates, odds, strict=True) if pair[1] >= MIN_SHARE * max(odds)]
            found.append(sorted(likely, key=lambda pair: -pair[1])[:count])
        return found

    def yes(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[float]:
        """For each picture and its question p(yes) / (p(yes) + p(no)), in 0..1."""
        if not images:
            return []
        if len(images) != len(questions):
            raise ValueError(f"{len(images)} pictures and {len(questions)} questions")
        found: dict[int, float] = {}
        for indices in self._batches(questions):
            states = self._encoded([images[i] for i in indices], [questions[i] for i in indices])
            difference = self._log_odds(states, "yes") - self._log_odds(states, "no")
            found |= {i: float(value) for i, value in zip(indices, difference.sigmoid(), strict=True)}
        return [found[i] for i in range(len(questions))]

    def _batches(self, questions: Sequence[str]) -> list[list[int]]:
        """Indices of questions of the same length in tokens, at most BATCH at a time.

        BLIP's answer decoder takes no notice of padding (transformers 5.23): a longer neighbour would change an answer.
        """
        by_length: dict[int, list[int]] = {}
        for i, question in enumerate(questions):
            by_length.setdefault(len(self._loaded.tokenizer(question).input_ids), []).append(i)
        return [same[start : start + BATCH] for same in by_length.values() for start in range(0, len(same), BATCH)]

    def _encoded(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Any:
        """Questions of one length, each encoded with its picture: hidden states (n, tokens, width)."""
        import torch

        model = self._loaded.model
        encoded = self._loaded.tokens(list(questions))
        with torch.no_grad():
            features = model.vision_model(pixel_values=self._loaded.pixels(images)).last_hidden_state
            mask = torch.ones(features.shape[:-1], dtype=torch.long, device=features.device)
            return model.text_encoder(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                encoder_hidden_states=features,
                encoder_attention_mask=mask,
            ).last_hidden_state

    def _start(self, count: int) -> Any:
        import torch

        return torch.full((count, 1), self._loaded.model.decoder_start_token_id, device=self._loaded.device)

    def _log_odds(self, states: Any, answer: str) -> Any:
        """Log p(answer and then the end | picture, question), (n,)."""
        import torch

        model = self._loaded.model
        tokens = self._loaded.tokenizer(answer, add_special_tokens=False).input_ids
        tokens = torch.tensor([[*tokens, model.config.text_config.sep_token_id]], device=states.device).expand(
            len(states), -1
        )
        given = torch.cat([self._start(len(states)), tokens[:, :-1]], dim=1)
        with torch.no_grad():
            logits = model.text_decoder(input_ids=given, encoder_hidden_states=states).logits
        return logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0].sum(dim=1)
