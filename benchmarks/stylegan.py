"""StyleGAN2's training, pictures a second, against the reference implementation (NVlabs/stylegan2-ada-pytorch).

`python -m benchmarks.stylegan --peer PATH`, PATH being a checkout of it, which is not part of easel. Both train the
same network on the same pictures with their own losses, optimisers and averages: a cycle is 16 steps of critic and
generator, with R1 once and the path length four times, as both do it by default. Their turns alternate, cycle by cycle.
Beside the ratio on the clock stands that of processor seconds, which other programs on the machine bend less.

On a CPU the peer takes its own plain PyTorch path (upfirdn2d and bias_act have one each, and take it by themselves).
Nothing in its files is changed; `opened` says what is set from outside so that it runs with a torch of today.
With `--device cuda` it compiles its CUDA extensions, which needs nvcc; `--half` then lets it compute its larger sides
in float16 as its program does. That way has not been tried: no GPU was at hand.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import Row, interleaved, ratio, threads
from easel.networks import stylegan
from easel.training.batches import Batch
from easel.training.distributed import ALONE
from easel.training.phases import trainer_for
from easel.training.plans import plan_for

CYCLE = 16
"""Steps after which every phase has had its turn: R1 comes each 16th step, the path length each 4th."""
HALF_SIDES = 4
"""Sides, the largest ones, that the peer computes in float16 on a GPU: its program's own number."""


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stylegan", description=__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of NVlabs/stylegan2-ada-pytorch; without it ours alone")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, default=2048, help="divided by the side; 16384 or 32768 on a GPU")
    parser.add_argument("--widest", type=int, default=256)
    parser.add_argument("--mapping", type=int, default=2, help="layers of the mapping")
    parser.add_argument("--rounds", type=int, default=3, help="cycles of each, after one that warms up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", action="store_true", help="the peer in float16 where its program would, on a GPU")
    chosen = parser.parse_args(words)
    print(f"StyleGAN2 training, batch {chosen.batch}, {chosen.channels} / side maps, {chosen.device}, {threads()}")
    print(f"{'':<42} {'pictures/s':>10} {'cpu seconds':>12}   against the peer: on the clock; in processor seconds")
    for side in chosen.sides:
        lines(side, chosen)


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: a cycle of 16 steps at 64 px, ours in both number formats."""
    peer, work = "stylegan2-ada-pytorch, float32, its plain PyTorch path", "train stylegan, 16 steps of 16 at 64 px"
    if asked.stylegan is None:
        return [Row.not_run(work, peer, "needs --stylegan PATH, a checkout of the peer")]
    chosen = argparse.Namespace(
        peer=asked.stylegan,
        batch=16,
        channels=2048,
        widest=256,
        mapping=2,
        rounds=asked.rounds,
        device="cpu",
        half=False,
    )
    timed = interleaved(ways_at(64, chosen), chosen.rounds)
    limit = "convolutions, forward and back"
    return [
        Row.of(f"{work}, {name.removeprefix('ours, ')}", peer, timed["peer"], spent, limit)
        for name, spent in timed.items()
        if name != "peer"
    ]


def ways_at(side: int, chosen: argparse.Namespace) -> dict[str, Callable[[int], Any]]:
    """Ours in both number formats, and the peer where there is one."""
    device, batch = torch.device(chosen.device), chosen.batch
    sizes = {"channels": chosen.channels, "widest": chosen.widest, "mapping": chosen.mapping}
    chance = torch.Generator().manual_seed(side)
    real = (torch.rand(CYCLE, batch, 3, side, side, generator=chance) * 2 - 1).to(device)
    ways: dict[str, Callable[[int], Any]] = {
        "ours, float32": ours(real, stylegan.Config(resolution=side, **sizes), None),
        "ours, bfloat16 (easel train's own)": ours(real, stylegan.Config(resolution=side, **sizes), torch.bfloat16),
    }
    if chosen.peer is not None:
        ways = {"peer": Peer(chosen.peer, real, sizes, chosen.half), **ways}
    return ways


def lines(side: int, chosen: argparse.Namespace) -> None:
    """Time all ways at one side, and print a line for each."""
    ways, batch = ways_at(side, chosen), chosen.batch
    timed = interleaved(ways, chosen.rounds)
    for name, spent in timed.items():
        pace = CYCLE * batch * chosen.rounds / sum(spent.seconds)
        line = f"{side:>3} px, {name:<34} {pace:>10.1f} {sum(spent.work) / chosen.rounds:>12.2f}"
        if "peer" in ways and name != "peer":
            line += f"   {ratio(timed['peer'].seconds, spent.seconds)};  {ratio(timed['peer'].work, spent.work)}"
        print(line, flush=True)


class Noise:
    """`Batches` of pictures that lie in memory already."""

    def __init__(self, real: torch.Tensor) -> None:
        self.real, self.seed, self.team = real, 0, ALONE

    def batch(self, step: int) -> Batch:
        """The same pictures come again in the next cycle."""
        return Batch(self.real[step % CYCLE].contiguous(memory_format=torch.channels_last), None)


def ours(real: torch.Tensor, config: stylegan.Config, precision: torch.dtype | None) -> Callable[[int], None]:
    """One cycle of easel's training."""
    plan = plan_for("stylegan", config.resolution, {"batch_size": real.shape[1]})
    batches: Any = Noise(real)
    torch.manual_seed(batches.seed)
    players = stylegan.players(config)
    for player in players.values():
        player.to(real.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = trainer_for(players, plan, batches, precision)

    def cycle(number: int) -> None:
        for step in range(number * CYCLE, (number + 1) * CYCLE):
            trainer.step(step)
        finished(real.device)

    return cycle


def finished(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def opened(place: Path, device: torch.device) -> tuple[Any, Any]:
    """The peer's modules of networks and losses.

    Its replacement of conv2d, written for torch 1.7 to 1.9, takes torch's own elsewhere and warns of it at each
    convolution, which is hushed. Its `grid_sample` is for augmentation, which is not used here.
    """
    if not (place / "training" / "networks.py").is_file():
        sys.exit(f"no checkout of stylegan2-ada-pytorch in {place}: it has no training/networks.py")
    sys.path.insert(0, str(place))
    warnings.filterwarnings("ignore", message="conv2d_gradfix not supported")
    convolution: Any = importlib.import_module("torch_utils.ops.conv2d_gradfix")
    convolution.enabled = device.type == "cuda"
    torch.backends.cudnn.benchmark = True
    return importlib.import_module("training.networks"), importlib.import_module("training.loss")


class Peer:
    """The reference implementation's inner loop, over its own networks and its own loss."""

    def __init__(self, place: Path, real: torch.Tensor, sizes: dict[str, int], half: bool) -> None:
        networks, losses = opened(place, real.device)
        self.real, self.batch, side = real, real.shape[1], real.shape[-1]
        own = {"channel_base": sizes["channels"], "channel_max": sizes["widest"]}
        own["num_fp16_res"] = HALF_SIDES if half else 0
        shared = {"c_dim": 0, "img_resolution": side, "img_channels": 3}
        mapping = {"num_layers": sizes["mapping"]}
        torch.manual_seed(0)
        self.generator = networks.Generator(
            z_dim=512, w_dim=512, mapping_kwargs=mapping, synthesis_kwargs=own, **shared
        )
        self.critic = networks.Discriminator(**shared, **own, epilogue_kwargs={"mbstd_group_size": 4})
        for player in (self.generator, self.critic):
            player.train().requires_grad_(False).to(real.device)
        self.average = copy.deepcopy(self.generator).eval()
        gamma = 0.0002 * side**2 / self.batch
        self.loss = losses.StyleGAN2Loss(
            real.device, self.generator.mapping, self.generator.synthesis, self.critic, r1_gamma=gamma
        )
        self.phases = [*self.rows("G", self.generator, 4), *self.rows("D", self.critic, CYCLE)]

    def rows(self, letter: str, player: Any, interval: int) -> list[tuple[str, Any, Any, int]]:
        """A player's two phases, its loss and the lazy penalty, which share an optimiser."""
        share = interval / (interval + 1)
        optimiser = torch.optim.Adam(player.parameters(), lr=0.0025 * share, betas=(0.0, 0.99**share), eps=1e-8)
        return [(f"{letter}main", player, optimiser, 1), (f"{letter}reg", player, optimiser, interval)]

    def __call__(self, number: int) -> None:
        """One cycle."""
        for step in range(number * CYCLE, (number + 1) * CYCLE):
            real = self.real[step % CYCLE]
            latents = torch.randn(len(self.phases), self.batch, 512, device=real.device)
            for z, phase in zip(latents, self.phases, strict=True):
                if step % phase[-1] == 0:
                    self.move(phase, real, z)
            self.follow(step)
        finished(self.real.device)

    def move(self, phase: tuple[str, Any, Any, int], real: torch.Tensor, z: torch.Tensor) -> None:
        """One phase, as the peer's loop does it."""
        name, player, optimiser, interval = phase
        nothing = torch.zeros(self.batch, 0, device=real.device)
        optimiser.zero_grad(set_to_none=True)
        player.requires_grad_(True)
        self.loss.accumulate_gradients(name, real, nothing, z, nothing, sync=True, gain=interval)
        player.requires_grad_(False)
        for parameter in player.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimiser.step()

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """The moving average, parameter by parameter as the peer does it."""
        decay = 0.5 ** (self.batch / max(min(10_000, step * self.batch * 0.05), 1e-8))
        for ours, theirs in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            ours.copy_(theirs.lerp(ours, decay))
        for ours, theirs in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            ours.copy_(theirs)


if __name__ == "__main__":
    main()
