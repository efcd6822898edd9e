"""The trainer: networks ("players"), an optimizer each, and the phases of a step. It serves one network with one loss
as well as a generator, its critic and a classifier.

All that decides the next step is in `Trainer.save`'s file, so that what is killed goes on as if it had not been.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from easel.errors import EaselError
from easel.training import checkpoints
from easel.training.distributed import ALONE, Team
from easel.training.state import Position, State

GROUP = "group"
"""In a checkpoint, in a weight's place: numbers that an optimizer keeps beside its moments, as Prodigy its rate."""
FOLLOWING = ("average", "running_mean", "running_var")
"""Buffers that follow what a process sees: of StyleGAN's mapping, and of batch norm."""


@dataclass(frozen=True, eq=False)
class Context:
    """What a loss is computed from. ``players`` are in training mode; ``batch`` is this process's share."""

    step: int
    players: Mapping[str, Any]
    batch: Any = None
    state: State = field(default_factory=State)
    generator: torch.Generator = field(default_factory=torch.Generator)
    """On the CPU, seeded for this phase, step and process."""
    shared: torch.Generator = field(default_factory=torch.Generator)
    """The same, with the same seed in all processes."""
    team: Team = ALONE


@dataclass(frozen=True, eq=False)
class Measured:
    """What a loss gives: a number to be made small, numbers worth a curve, and new values of `State`'s fields."""

    loss: Tensor
    numbers: Mapping[str, Tensor] = field(default_factory=dict)
    updates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One loss of a step, taken every ``interval`` steps. Only the weights of ``players`` learn from it."""

    name: str
    players: tuple[str, ...]
    interval: int
    loss: Callable[[Context], Measured]
    precise: bool = False
    """Stay in float32 under autocast: for losses that differentiate twice."""
    accumulates: bool = False
    """Add the gradients to those of the next phase, which takes one step for both. It must have the same players."""


class BatchSource(Protocol):
    """Where batches come from: the batch of a step must follow from the step alone."""

    def batch(self, step: int) -> Any:
        """This process's share of the batch of a step."""


@dataclass(eq=False)
class Trainer:
    """One training, by one process or a team. A weight learns if one of ``optimizers`` holds it; others are frozen."""

    players: Mapping[str, nn.Module]
    """By name, on their device."""
    phases: Sequence[Phase]
    """In their order within a step."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    """By player; one without an optimizer is frozen and not saved."""
    seeds: Callable[[int, int], int]
    """Step and number of the phase -> the seed of all that is drawn there."""
    batches: BatchSource | None = None
    averages: Mapping[str, Callable[[int], float]] = field(default_factory=dict)
    """Players whose weights are averaged (EMA), and the decay of the average in a step."""
    lr_schedule: Callable[[int, float], float] | None = None
    """Step and an optimizer's own learning rate -> the learning rate of the step; constant where there is none."""
    clip: float | None = None
    """Largest norm of a phase's gradient."""
    precision: torch.dtype | None = None
    """Autocast's; None computes in the weights' own."""
    team: Team = ALONE
    state: State = field(default_factory=State)

    def __post_init__(self) -> None:
        self.device = device_of(next(iter(self.players.values())))
        self.weights: dict[str, dict[str, nn.Parameter]] = {}
        self._lrs: list[tuple[dict[str, Any], float]] = []
        for name, optimizer in self.optimizers.items():
            held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
            named = self.players[name].named_parameters()
            self.weights[name] = {key: weight for key, weight in named if id(weight) in held}
            self._lrs += [(group, float(group["lr"])) for group in optimizer.param_groups]
        self._given = {name: [dict(group) for group in o.param_groups] for name, o in self.optimizers.items()}
        self.average = {
            name: {key: weight.detach().clone().float() for key, weight in self.weights[name].items()}
            for name in self.averages
        }

    def step(self, step: int) -> dict[str, Tensor]:
        """One step: every phase whose turn it is. Gives numbers for the curves, means over the team.

        Raises:
            FloatingPointError: a loss is no longer a number; the weights are those before its phase.
        """
        batch = None if self.batches is None else self.batches.batch(step)
        if self.lr_schedule is not None:
            for group, lr in self._lrs:
                group["lr"] = self.lr_schedule(step, lr)
        numbers: dict[str, Tensor] = {}
        kept = False  # whether an earlier phase has left gradients for the next
        for index, phase in enumerate(self.phases):
            if step % phase.interval:
                continue

            # The loss. Each process draws its own noise; what they share comes from the shared generator.
            shared = self.seeds(step, index)
            own = seed_of(shared, self.team.rank, index) if self.team.rank else shared
            torch.manual_seed(own)  # StyleGAN's noise, dropout
            draw, together = torch.Generator().manual_seed(own), torch.Generator().manual_seed(shared)
            context = Context(step, self.players, batch, self.state, draw, together, self.team)
            others = [w for name, own in self.weights.items() if name not in phase.players for w in own.values()]
            with frozen(others), self._autocast(phase):
                measured = phase.loss(context)
            self.state = replace(self.state, **measured.updates)

            # Its gradient, the mean over all processes.
            moving = [self.optimizers[name] for name in phase.players]
            for optimizer in moving if not kept else ():
                optimizer.zero_grad(set_to_none=True)
            measured.loss.backward()
            kept = phase.accumulates
            weights = [weight for name in phase.players for weight in self.weights[name].values()]
            gradients = [weight.grad for weight in weights if weight.grad is not None and not kept]
            found = self.team.average(gradients, {**measured.numbers, "": measured.loss})
            loss = float(found.pop(""))
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss of '{phase.name}' is {loss} at step {step}")
            numbers |= found
            if kept:
                continue

            # The optimizers' step.
            if self.clip is not None:
                nn.utils.clip_grad_norm_(weights, self.clip)
            for optimizer in moving:
                optimizer.step()

        self.team.average(self._following())
        for name, decay in self.averages.items():
            update_average(self.average[name], self.weights[name], decay(step))
        return numbers

    def averaged(self, name: str) -> nn.Module:
        """A copy of a player with its averaged weights, in evaluation mode; its buffers are the player's own."""
        made = copy.deepcopy(self.players[name])
        _put(self.average.get(name, {}), dict(made.named_parameters()))
        return made.eval()

    @contextmanager
    def averaging(self) -> Iterator[None]:
        """Have the averaged weights in the players themselves until the block ends, and then those of before."""
        before = {
            name: {k: self.weights[name][k].detach().clone() for k in held} for name, held in self.average.items()
        }
        self.use_averages()
        try:
            yield
        finally:
            for name, held in before.items():
                _put(held, self.weights[name])

    def learned(self) -> dict[str, Tensor]:
        """Copies of the weights that learn, as PLAYER/NAME, the averaged ones where there are some."""
        return {
            f"{name}/{key}": self.average.get(name, {}).get(key, weight).detach().clone()
            for name, weights in self.weights.items()
            for key, weight in weights.items()
        }

    def take(self, learned: Mapping[str, Tensor]) -> None:
        """Put such copies into the players. Raises KeyError where they are of other players."""
        for word, tensor in learned.items():
            name, _, key = word.partition("/")
            _put({key: tensor}, self.weights[name])

    def use_averages(self) -> None:
        """Put the averaged weights into the players themselves: the end of a training."""
        for name, average in self.average.items():
            _put(average, self.weights[name])

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors that decide what comes next: weights that learn, buffers, averages, the optimizers' moments."""
        found = {
            f"average/{name}/{key}": tensor for name, average in self.average.items() for key, tensor in average.items()
        }
        for name, optimizer in self.optimizers.items():
            found |= {f"player/{name}/{key}": tensor for key, tensor in self._learned(name).items()}
            names = {id(weight): key for key, weight in self.weights[name].items()}
            for weight, moments in optimizer.state.items():
                found |= {
                    f"moment/{name}/{names[id(weight)]}/{key}": torch.as_tensor(moment)
                    for key, moment in moments.items()
                }
            for number, (group, given) in enumerate(zip(optimizer.param_groups, self._given[name], strict=True)):
                own = {key: value for key, value in group.items() if key != "lr" and isinstance(value, int | float)}
                found |= {
                    f"moment/{name}/{GROUP}/{number}.{key}": torch.tensor(value, dtype=torch.float64)
                    for key, value in own.items()
                    if value != given.get(key)
                }
        return found

    def save(self, file: Path, position: Position) -> None:
        """Write a checkpoint, whole or not at all; ``position`` says all but `state`, which is the trainer's own.

        Raises EaselError on a full disk, the file before being left as it was; FloatingPointError on broken weights.
        """
        tensors = self.state_dict()
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise FloatingPointError(f"'{name}' is no longer made of numbers at step {position.step}")
        checkpoints.write(file, tensors, replace(position, state=self.state))

    def restore(self, file: Path) -> Position:
        """Take up what `save` wrote. Raises EaselError on a damaged file and on another network's."""
        tensors, position = checkpoints.read(file)
        other = EaselError(
            f"{file} is of another network than this recipe's: choose another --out, or delete it to begin anew"
        )
        moments = {name for name in tensors if name.startswith("moment/")}
        if tensors.keys() - moments != {name for name in self.state_dict() if not name.startswith("moment/")}:
            raise other
        try:
            for name in self.optimizers:
                self.players[name].load_state_dict(checkpoints.strip(tensors, f"player/{name}/"), strict=False)
                self._restore_moments(name, checkpoints.strip(tensors, f"moment/{name}/"))
            for name, average in self.average.items():
                _put(checkpoints.strip(tensors, f"average/{name}/"), average)
        except (RuntimeError, KeyError) as problem:
            raise other from problem
        self.state = position.state
        return position

    def _autocast(self, phase: Phase) -> torch.autocast:
        used = self.precision is not None and not phase.precise
        return torch.autocast(self.device.type, self.precision or torch.bfloat16, enabled=used)

    def _following(self) -> list[Tensor]:
        named = (pair for player in self.players.values() for pair in player.named_buffers())
        return [buffer for name, buffer in named if name.rpartition(".")[2] in FOLLOWING]

    def _learned(self, name: str) -> dict[str, Tensor]:
        """A player's weights that learn, and its buffers; what is frozen is as it was loaded."""
        player, learning = self.players[name], self.weights[name]
        parameters = {key for key, _ in player.named_parameters(remove_duplicate=False)}
        return {key: one for key, one in player.state_dict().items() if key in learning or key not in parameters}

    def _restore_moments(self, name: str, tensors: dict[str, Tensor]) -> None:
        state, groups = self.optimizers[name].state, self.optimizers[name].param_groups
        for key, tensor in tensors.items():
            word, _, kind = key.rpartition("/")
            if word == GROUP:
                number, _, kind = kind.partition(".")
                value = float(tensor)
                groups[int(number)][kind] = int(value) if isinstance(groups[int(number)].get(kind), int) else value
                continue
            weight = self.weights[name][word]
            if kind == "step" and not tensor.is_floating_point():  # of an optimizer that counts in Python's own numbers
                state[weight][kind] = int(tensor)
            elif kind == "step" or tensor.shape != weight.shape or not tensor.is_floating_point():
                state[weight][kind] = tensor.clone().to(weight.device)
            else:
                state[weight][kind] = torch.empty_like(weight).copy_(tensor)


def device_of(network: nn.Module) -> torch.device:
    """Where a network lives; what it is fed goes there."""
    return next(network.parameters()).device


def autocast(network: nn.Module) -> torch.autocast:
    """bfloat16 where it is safe, on the network's own device."""
    return torch.autocast(device_of(network).type, torch.bfloat16)


def seed_of(*numbers: int) -> int:
    """A seed below 2**63 that belongs to these numbers, such as a recipe's seed, a step and a phase."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seeds_of(seed: int) -> Callable[[int, int], int]:
    """`Trainer.seeds` of a recipe's seed."""
    return partial(seed_of, seed)


@contextmanager
def frozen(weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """Take no gradient for these weights in a forward pass; those that were frozen before stay so afterwards."""
    held = [weight for weight in weights if weight.requires_grad]
    for weight in held:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in held:
            weight.requires_grad_()


@torch.no_grad()
def update_average(average: Mapping[str, Tensor], weights: Mapping[str, Tensor], decay: float) -> None:
    """average <- decay * average + (1 - decay) * weights, in place; the average is float32."""
    now = [weights[name].detach().float() for name in average]
    torch._foreach_lerp_(list(average.values()), now, 1 - decay)


@torch.no_grad()
def _put(tensors: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        into[name].copy_(tensor)
