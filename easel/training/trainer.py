"""Where networks are trained: the players, an optimiser each, the generator's moving average, and one step after
another. Everything that decides the next step is in `state`, so that what is killed goes on as if it had not been.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from easel import networks
from easel.errors import EaselError
from easel.training import augment, checkpoints, objectives
from easel.training.batches import Feed
from easel.training.distributed import Team
from easel.training.phases import Phase, phases
from easel.training.plans import Plan, average_decay

SMOOTH = 0.75
"""Of the measure of overfitting that adaptive augmentation follows: about the mean of its last four batches."""
SETTLING = 16
"""Batches from which the statistics of batch norm are taken anew for the averaged weights (Brock 2018, section 4.1)."""
MOVING = ("average", "running_mean", "running_var")
"""Buffers that follow what a network sees: of StyleGAN's mapping, and of batch norm."""


class Studio:
    """One training, alone or in a team. ``extras`` are numbers that phases keep from step to step; ``eyes`` tell how
    different pictures (n, 3, h, w) look, (n,), where that is trained for.
    """

    def __init__(self, config: Any, plan: Plan, feed: Feed, adaptive: bool = False, always: bool = False) -> None:
        torch.manual_seed(feed.seed)
        self.config, self.plan, self.feed, self.network = config, plan, feed, str(config.network)
        self.players = {name: player.train() for name, player in networks.players(config).items()}
        self.adaptive = adaptive
        self.extras = {"p": 1.0 if always else 0.0, "overfitting": 0.0, "path": 0.0, "balance": 1.0, "classified": 0.0}
        self.objective = objectives.OBJECTIVES.get(plan.objective, objectives.OBJECTIVES["non-saturating"])
        self.phases = phases(self.players, plan)
        self.precision: torch.dtype | None = None
        self.eyes: Callable[[Tensor, Tensor], Tensor] | None = None
        self._shared = torch.Generator()

    @property
    def team(self) -> Team:
        """Who trains along."""
        return self.feed.team

    def open(self, device: torch.device, precision: torch.dtype | None = None) -> None:
        """Bring everything to a device, make the optimisers, begin the average. ``precision`` is autocast's."""
        self.feed.device, self.precision = device, precision
        for player in self.players.values():
            player.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.players["generator"]).eval().requires_grad_(False)
        self.optimisers = {name: self._optimiser(name) for name in self.players}

    def _optimiser(self, name: str) -> torch.optim.Optimizer:
        """Adam; where a penalty comes every so many steps, slowed as StyleGAN2 does."""
        lr, betas = self.plan.learning_rate, self.plan.betas
        late = [phase for phase in self.phases if name in phase.players and phase.name in ("R1", "path")]
        if late:
            own = self.plan.r1_interval if late[0].name == "R1" else self.plan.path_interval
            lr, betas = objectives.lazily(lr, betas, own)
        moving = [p for p in self.players[name].parameters() if p.requires_grad]
        return torch.optim.Adam(moving, lr=lr, betas=betas, eps=1e-8, fused=True)

    def latents(self, n: int, chance: torch.Generator) -> Tensor:
        """z for n pictures, drawn on the CPU, put where the players are. A team shares what one alone would draw."""
        if self.team.size > 1:
            whole = n * self.team.size
            return self.players["generator"].latent(whole, self._shared)[self.team.share(whole)]  # type: ignore[operator, no-any-return]
        z: Tensor = self.players["generator"].latent(n, chance)  # type: ignore[operator]
        return z

    def note_overfitting(self, real: Tensor) -> None:
        """Let adaptive augmentation follow how sure the critic is of real pictures."""
        if self.adaptive:
            now = self.team.mean(augment.overfitting(real))
            seen = SMOOTH * self.extras["overfitting"] + (1 - SMOOTH) * now
            self.extras["overfitting"] = seen
            self.extras["p"] = augment.adapted(self.extras["p"], seen, len(real) * self.team.size)

    def step(self, step: int) -> dict[str, Tensor]:
        """One step: every phase whose turn it is. Numbers for the curves come back.

        Raises:
            FloatingPointError: a loss is no longer a number; the weights are those before this phase.
        """
        batch, numbers = self.feed.batch(step), dict[str, Tensor]()
        for index, phase in enumerate(self.phases):
            if step % phase.interval == 0:
                seed = chance_of(self.feed.seed, step, index)
                self._shared.manual_seed(seed)
                if self.team.rank:
                    seed = chance_of(seed, self.team.rank, index)
                torch.manual_seed(seed)  # StyleGAN's noise
                with self._format(phase):
                    loss, said = phase.loss(self, batch, torch.Generator().manual_seed(seed))
                numbers |= self._move(phase, loss, said, step)
        self.team.average(self._moving())
        self._follow(average_decay(self.plan, step * self.plan.batch_size))
        return numbers

    def _format(self, phase: Phase) -> torch.autocast:
        kind = torch.device(self.feed.device).type
        used = self.precision is not None and not phase.precise
        return torch.autocast(kind, self.precision or torch.bfloat16, enabled=used)

    def _move(self, phase: Phase, loss: Tensor, said: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """One step of the phase's players along everybody's gradient; everybody's numbers come back."""
        moving = [self.optimisers[name] for name in phase.players]
        for optimiser in moving:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        weights = [weight for optimiser in moving for group in optimiser.param_groups for weight in group["params"]]
        slopes = [weight.grad for weight in weights if weight.grad is not None]
        numbers = self.team.average(slopes, said | {"": loss})
        found = float(numbers.pop(""))
        if not math.isfinite(found):
            raise FloatingPointError(f"the loss of '{phase.name}' is {found} at step {step}")
        for optimiser in moving:
            optimiser.step()
        return numbers

    def _moving(self) -> list[Tensor]:
        """Buffers that follow what this process has seen."""
        named = (pair for player in self.players.values() for pair in player.named_buffers())
        return [buffer for name, buffer in named if name.rpartition(".")[2] in MOVING]

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """The average takes its step; buffers are copied."""
        now = self.players["generator"]
        torch._foreach_lerp_(list(self.average.parameters()), list(now.parameters()), 1 - decay)
        for ours, theirs in zip(self.average.buffers(), now.buffers(), strict=True):
            ours.copy_(theirs)

    @torch.no_grad()
    def settled(self) -> nn.Module:
        """A copy of the averaged generator, ready to draw: batch norm has taken its statistics from these weights."""
        made = copy.deepcopy(self.average)
        norms = [module for module in made.train().modules() if isinstance(module, nn.BatchNorm2d) and module.training]
        if norms:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the plain mean over the batches
            for index in range(SETTLING):
                chance = torch.Generator().manual_seed(chance_of(self.feed.seed, index, -1))
                batch = self.feed.whole(index)
                made(made.latent(len(batch.real), chance), batch.condition)  # type: ignore[operator]
        else:
            made.load_state_dict(self.average.state_dict())
        return made.eval()

    def state(self) -> dict[str, Tensor]:
        """All tensors that decide what comes next, by name."""
        found = {f"average/{key}": value for key, value in self.average.state_dict().items()}
        for name, player in self.players.items():
            found |= {f"player/{name}/{key}": value for key, value in player.state_dict().items()}
            names: dict[Tensor, str] = {parameter: key for key, parameter in player.named_parameters()}
            for parameter, moments in self.optimisers[name].state.items():
                found |= {f"moment/{name}/{names[parameter]}/{key}": value for key, value in moments.items()}
        return found

    def save(self, file: Path, step: int, facts: dict[str, Any]) -> None:
        """Write the state, whole or not at all.

        Raises EaselError on a full disk, the file before being left as it was; FloatingPointError on broken weights.
        """
        state = self.state()
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise FloatingPointError(f"'{name}' is no longer made of numbers at step {step}")
        kept = facts | {"step": step, "extras": self.extras}
        checkpoints.write(file, state, {"state": json.dumps(kept)})

    def restore(self, file: Path) -> dict[str, Any]:
        """Take up a state that `save` wrote; gives the facts kept with it. Raises EaselError on another studio's."""
        tensors, metadata = checkpoints.read(file)
        facts: dict[str, Any] = json.loads(metadata["state"])
        try:
            self.average.load_state_dict(checkpoints.strip(tensors, "average/"))
            for name, player in self.players.items():
                player.load_state_dict(checkpoints.strip(tensors, f"player/{name}/"))
                self._restore_moments(name, checkpoints.strip(tensors, f"moment/{name}/"))
        except (RuntimeError, KeyError) as problem:
            raise EaselError(
                f"{file} is of another network than this recipe's: choose another --out, or delete it to begin anew"
            ) from problem
        self.extras.update(facts["extras"])
        return facts

    def _restore_moments(self, name: str, tensors: dict[str, Tensor]) -> None:
        parameters = dict(self.players[name].named_parameters())
        state = self.optimisers[name].state
        for key, tensor in tensors.items():
            word, _, kind = key.rpartition("/")
            parameter = parameters[word]
            if kind == "step":
                state[parameter][kind] = tensor.clone().to(parameter.device)
            else:
                state[parameter][kind] = torch.empty_like(parameter).copy_(tensor)


def chance_of(seed: int, step: int, index: int) -> int:
    """A seed below 2**63 for one phase of one step."""
    digest = hashlib.blake2b(f"{seed} {step} {index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
