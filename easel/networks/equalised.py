"""StyleGAN2's layers (Karras 2019-2020) in plain PyTorch operations: equalised learning rate, filtered resampling, and
modulated convolution.

Two choices make them quick where memory is slow. Modulation scales the input and demodulation the output, which is the
same as a convolution with its own weights for each picture, but is one dense convolution (the paper's equation 3
read the other way round). And the gain of the leaky ReLU, as it is above 0, is multiplied into weights and biases
before, so that it costs no pass over the maps.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
GAIN = math.sqrt(2)
"""What keeps the variance through a leaky ReLU (He 2015)."""
TAPS = (1.0, 3.0, 3.0, 1.0)
"""The binomial filter of every resampling (Karras 2020, appendix B)."""


def filtered(x: Tensor, padding: int, gain: float = 1.0, taps: tuple[float, ...] = TAPS) -> Tensor:
    """Each channel of (n, channels, h, w) convolved with the outer product of ``taps``, brought to the sum ``gain``."""
    line = torch.tensor(taps, dtype=x.dtype, device=x.device) / sum(taps)
    kernel = (gain * line.outer(line)).expand(x.shape[1], 1, -1, -1)
    return functional.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def halved(x: Tensor) -> Tensor:
    """(n, channels, h, w) -> (n, channels, h/2, w/2), by the filter: [1, 3, 3, 1] is [1, 2, 1], then the mean of two.

    In two parts, because the backward pass of a depthwise convolution with a stride is very slow on a CPU.
    """
    return functional.avg_pool2d(filtered(x, 1, taps=(1.0, 2.0, 1.0)), 2)


def upsampled(x: Tensor) -> Tensor:
    """(n, channels, h, w) -> (n, channels, 2h, 2w): zeros between the pixels, then the filter. For the RGB skips."""
    n, channels, h, w = x.shape
    spread = functional.pad(x[:, :, :, None, :, None], (0, 1, 0, 0, 0, 1)).reshape(n, channels, 2 * h, 2 * w)
    return filtered(functional.pad(spread, (2, 1, 2, 1)), 0, 4.0)


class EqualLinear(nn.Module):
    """(n, size) -> (n, made). Equalised learning rate: N(0, 1), scaled in use (Karras 2018, section 4.1).

    ``lr`` slows the layer down against the others; ``active`` adds a leaky ReLU with its gain.
    """

    def __init__(self, size: int, made: int, bias: float = 0.0, lr: float = 1.0, active: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, size) / lr)
        self.bias = nn.Parameter(torch.full((made,), bias / lr))
        self.lr, self.active = lr, active
        self.scale = lr / math.sqrt(size)

    def forward(self, x: Tensor) -> Tensor:
        """(n, size) -> (n, made)."""
        y = functional.linear(x, self.weight * self.scale, self.bias * self.lr)
        return functional.leaky_relu(y, SLOPE) * GAIN if self.active else y


class EqualConv(nn.Module):
    """(n, channels, h, w) -> (n, made, h, w), or half the side with ``down``, filtered first. For the critic.

    ``gain`` is the deviation of the output where the input has 1, before a leaky ReLU whose own gain is in it.
    """

    def __init__(
        self, channels: int, made: int, kernel: int, down: bool = False, gain: float = GAIN, active: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(made)) if active else None
        self.gain, self.kernel, self.down, self.active = gain, kernel, down, active
        self.scale = gain / math.sqrt(channels * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, made, h, w) or (n, made, h/2, w/2)."""
        bias = None if self.bias is None else self.bias * self.gain
        if not self.down:
            y = functional.conv2d(x, self.weight * self.scale, bias, padding=self.kernel // 2)
        elif self.kernel == 1:  # halve first: a pixel that is dropped need not be convolved
            y = functional.conv2d(halved(x), self.weight * self.scale, bias)
        else:
            y = functional.conv2d(filtered(x, 2), self.weight * self.scale, bias, stride=2)
        return functional.leaky_relu(y, SLOPE) if self.active else y


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style (Karras 2020, section 2.2, equations 1 and 3).

    w (n, style) -> scales (n, channels) by a learned affine that begins at 1. ``demodulate`` divides each output
    channel by its expected deviation. ``up`` doubles the side by a transposed convolution and the filter.
    """

    def __init__(
        self, channels: int, made: int, kernel: int, style: int, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(style, channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(made, channels, kernel, kernel))
        self.up, self.demodulate, self.padding = up, demodulate, kernel // 2
        self.scale = 1 / math.sqrt(channels * kernel**2)

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, channels, h, w), (n, style) -> the convolution, and the factors (n, made, 1, 1) that demodulate it.

        Factors are handed out, so that the layer can join them with its bias; None without demodulation.
        """
        scales = self.affine(w).float()
        weight = self.weight * self.scale
        factors = None
        if self.demodulate:
            power = scales.square() @ weight.float().square().sum(dim=(2, 3)).t()  # (n, made)
            factors = (power + 1e-8).rsqrt()[:, :, None, None]
        x = x * scales[:, :, None, None].to(x.dtype)
        if self.up:
            return filtered(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, 4.0), factors
        return functional.conv2d(x, weight, padding=self.padding), factors


class StyledLayer(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU: (n, channels, h, w) -> (n, made, side, side)."""

    noise: Tensor

    def __init__(self, channels: int, made: int, style: int, side: int, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv(channels, made, 3, style, up)
        self.bias = nn.Parameter(torch.zeros(made))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(side, side))

    def forward(self, x: Tensor, w: Tensor, noise: str) -> Tensor:
        """Noise 'fixed' is the stored one, 'random' is drawn for each picture, 'none' is none."""
        y, factors = self.convolution(x, w)
        bias = (GAIN * self.bias)[:, None, None].to(y.dtype)
        y = torch.addcmul(bias, y, (GAIN * factors).to(y.dtype))
        if noise != "none":
            drawn = torch.randn_like(y[:, :1]) if noise == "random" else self.noise.to(y.dtype)
            y = y + drawn * (GAIN * self.strength).to(y.dtype)
        return functional.leaky_relu(y, SLOPE)
