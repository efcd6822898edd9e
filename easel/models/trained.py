"""What `easel train` made, ready to draw: a generator, and the classifier or encoder that came with it.

Drawing is in two steps, so that one can walk and steer between them: `code` brings a latent (and StyleGAN's truncation)
to where pictures are painted from, w for StyleGAN and z elsewhere; `paint` makes pictures of codes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened, unknown
from easel.models.catalog import checks, trained_folders
from easel.models.catalog.locate import LocatedModel
from easel.models.devices import pick_device

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, CONFIG = "model.safetensors", "config.json"
KEPT = ("generator", "classifier", "encoder")
"""The players that a model folder keeps; the critic is of no use once training is over."""


class Trained:
    """A model folder, loaded in float32."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:  # noqa: ARG002 - always float32
        from easel import networks

        if not located.path.is_dir():
            raise EaselError(f"{located.path} is a file: give the folder that `easel train` made")
        facts = trained_folders.described(located.path)
        self.name, self.notes = located.name, list(located.notes)
        self.config = networks.config(facts["network"])
        self.network = str(self.config.network)
        self.condition_kind = str(facts["condition"])
        """nothing, labels, attributes or captions."""
        self.names, self.shares = tuple(facts["names"]), tuple(facts["shares"])
        _check_condition(located.path, self.config, self.condition_kind, len(self.names))
        self.text_encoder = str(facts.get("text_encoder") or "pocket")
        self.device = pick_device(device)
        self.players = read_players(located.path, self.config)
        for player in self.players.values():
            player.to(self.device).eval().requires_grad_(False)
        self._clip: Any = None

    @property
    def generator(self) -> Any:
        """What draws."""
        return self.players["generator"]

    @property
    def is_styled(self) -> bool:
        """Whether codes are StyleGAN's w."""
        return self.network == "stylegan"

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """z (n, latent), each drawn by its own seed alone."""
        import torch

        drawn = [self.generator.latent(1, torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.cat(drawn) if drawn else self.generator.latent(0)

    def condition(
        self, seed: int, prompt: str | None = None, label: str | None = None, wish: Mapping[str, float] | None = None
    ) -> Tensor | None:
        """The condition of a picture, (1, k): classes as shares, attributes from 0 to 1, or the embedding of its words.

        A class or attribute that is not asked for is drawn by ``seed``, as often as in the training set.
        Raises EaselError on a label or attribute that the model does not know, and on words it lacks or cannot take.
        """
        import torch

        self._refuse_what_it_takes_not(prompt, label)
        if self.condition_kind == "captions":
            return self._embedded(prompt or "")
        if self.condition_kind == "nothing":
            return None
        uniform = torch.rand(len(self.names), generator=torch.Generator().manual_seed(seed ^ 0x5EED))
        if self.condition_kind == "attributes":
            drawn = (uniform < torch.tensor(self.shares)).float()
            for name, value in (wish or {}).items():
                drawn[self._place(name, "attribute")] = (1 + value) / 2
            return drawn[None].to(self.device)
        place = int((torch.tensor(self.shares).cumsum(0) < uniform[0]).sum()) if label is None else -1
        place = min(place, len(self.names) - 1) if label is None else self._place(label or "", "label")
        return torch.nn.functional.one_hot(torch.tensor([place]), len(self.names)).float().to(self.device)

    def code(self, z: Tensor, condition: Tensor | None, truncation: float = 1.0) -> Tensor:
        """What pictures are painted from, (n, size): w pulled to its mean for StyleGAN, else z times ``truncation``."""
        import torch

        if not self.is_styled:
            return z * truncation
        with torch.no_grad():
            styles: Tensor = self.generator.styles(z, condition, truncation)
        return styles[:, 0]

    def paint(self, codes: Tensor, condition: Tensor | None) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1] of codes (n, size); differentiable."""
        if not self.is_styled:
            return self.generator(codes, condition)  # type: ignore[no-any-return]
        styles = codes[:, None].expand(-1, self.generator.synthesis.layers, -1)
        return self.generator.synthesis(styles, "fixed").clamp(-1, 1)  # type: ignore[no-any-return]

    def _place(self, name: str, what: str) -> int:
        if name not in self.names:
            raise unknown(what, name, self.names)
        return self.names.index(name)

    def _refuse_what_it_takes_not(self, prompt: str | None, label: str | None) -> None:
        if self.condition_kind == "captions" and not prompt:
            raise EaselError(f"{self.name} ({self.network}) draws from words: say what the picture should show")
        if prompt and self.condition_kind != "captions":
            raise EaselError(f"{self.name} ({self.network}) takes no words: leave the prompt out")
        if label is not None and self.condition_kind != "labels":
            raise EaselError(f"{self.name} ({self.network}) knows no classes: leave --label out")

    def _embedded(self, prompt: str) -> Tensor:
        import torch

        from easel import models

        if self._clip is None:
            self._clip = models.load(self.text_encoder, "clip", str(self.device))
        row = torch.from_numpy(self._clip.texts([prompt])).to(self.device)
        if row.shape[1] != self.config.embedding:
            raise EaselError(
                f"{self.name} was taught with captions as {self.config.embedding} numbers, and {self.text_encoder} now "
                f"gives {row.shape[1]}: it is another text encoder than the one it was trained with"
            )
        return row


def _check_condition(folder: Path, config: Any, condition: str, names: int) -> None:
    """EaselError where a config.json says that a network is conditioned on something else than it takes."""
    sizes = {
        "labels": getattr(config, "classes", 0),
        "attributes": getattr(config, "attributes", 0),
        "captions": getattr(config, "embedding", 0),
    }
    takes = next((kind for kind, size in sizes.items() if size), "nothing")
    if condition != takes or (condition in ("labels", "attributes") and sizes[condition] != names):
        raise EaselError(
            f"{folder / CONFIG} is damaged: it says that {config.network} is conditioned on {shortened(condition)} "
            f"({names} names), and the network takes {takes} ({sizes.get(takes, 0)})"
        )


def read_players(folder: Path, config: Any) -> dict[str, nn.Module]:
    """The players kept in a folder, by their part, on the CPU. Raises EaselError on pickles and what does not fit."""
    import torch
    from safetensors.torch import load_file

    from easel import networks

    files, _ = checks.weight_files(folder)
    with checks.loading(folder, str(config.network)), torch.device("meta"):
        described = networks.players(config)
    numbers = {name: sum(one.numel() for one in described[name].parameters()) for name in KEPT if name in described}
    held = {key.partition(".")[0] for key in checks.check_file(files[0])}
    whole = sum(count for name, count in numbers.items() if name in held | {"generator"})
    checks.check_size(folder, str(config.network), whole, files[:1])
    tensors = load_file(files[0])
    made = {name: player for name, player in networks.players(config).items() if name in held | {"generator"}}
    found = {}
    for name in KEPT:
        inside = {key.removeprefix(f"{name}."): one for key, one in tensors.items() if key.startswith(f"{name}.")}
        if name not in made or (not inside and name != "generator"):
            continue
        try:
            made[name].load_state_dict(inside)
        except RuntimeError as problem:
            raise EaselError(f"{files[0]} does not fit its config.json ({shortened(problem, 120)})") from problem
        checks.check_finite(made[name], str(files[0]))
        found[name] = made[name]
    return found


def write_players(folder: Path, players: Mapping[str, nn.Module], facts: Mapping[str, str]) -> None:
    """Write the players that a model folder keeps, whole or not at all; ``facts`` go into the file's header."""
    from safetensors.torch import save

    from easel.files import write_atomic

    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name in KEPT
        if name in players
        for key, value in players[name].state_dict().items()
    }
    write_atomic(folder / WEIGHTS, in_order(save(tensors, metadata={"format": "pt", **facts})))


def in_order(file: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library leaves their order open, and equal models are to be
    equal files.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + file[end:]


def read_header(folder: Path) -> dict[str, str]:
    """The facts that `write_players` was given; nothing where there are no weights yet."""
    from safetensors import safe_open

    file = folder / WEIGHTS
    if not file.is_file():
        return {}
    checks.check_file(file)
    with safe_open(file, "pt") as opened:
        return dict(opened.metadata() or {})


def write_config(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write config.json: the network's settings, what it is conditioned on, and what it learned from."""
    from easel.files import write_atomic

    whole = {"model_type": trained_folders.KIND} | dict(facts)
    write_atomic(folder / CONFIG, (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode())
