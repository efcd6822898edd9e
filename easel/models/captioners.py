"""Words about pictures: captions and answers, by BLIP (Li et al. 2022, arXiv 2201.12086)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from easel.models.catalog.locate import LocatedModel
from easel.models.vision import load_vision

MAX_TOKENS = 40
BEAMS = 3
BATCH = 16
MIN_SHARE = 1e-3
"""An answer's probability, as a share of the best one's, at least: below it are words put together by chance."""


class Captioner:
    """A loaded captioner (BlipForConditionalGeneration)."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("BlipForConditionalGeneration",), device, dtype, with_tokenizer=True)

    def caption(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[list[str]]:
        """`count` captions of each picture: the first by beam search, always the same, the others sampled from
        `seed`.
        """
        if not images:
            return []
        pixels = self._loaded.pixels(images)
        captions = [[text] for text in self._generated(pixels, num_beams=BEAMS, do_sample=False)]
        if count > 1:
            for number, lines in enumerate(captions):
                lines.extend(self._sampled(pixels[number : number + 1], count - 1, seed))
        return captions

    def _sampled(self, pixels: Any, count: int, seed: int) -> list[str]:
        """Captions of one picture, drawn by itself so that its neighbours cannot change them (top-p, Holtzman et al.
        2020).
        """
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._generated(pixels, do_sample=True, top_p=0.9, num_beams=1, num_return_sequences=count)

    def _generated(self, pixels: Any, **options: Any) -> list[str]:
        import torch

        with torch.no_grad():
            tokens = self._loaded.model.generate(pixel_values=pixels, max_new_tokens=MAX_TOKENS, **options)
        return self._loaded.decoded(tokens)


class Answerer:
    """A loaded question answerer (BlipForQuestionAnswering)."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("BlipForQuestionAnswering",), device, dtype, with_tokenizer=True)

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
