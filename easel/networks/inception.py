"""The Inception network that FID is defined by: Inception v3 (Szegedy et al. 2016, arXiv 1512.00567) as TensorFlow's
2015-12-05 release has it, under the names that its published PyTorch weights use.

It differs from the later network of the same name in three ways, all of which move the numbers: average pooling counts
no padding, the last block pools by maximum, and there are 1,008 classes, of which 1,000 mean something.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from easel.errors import EaselError

INCEPTION = "fid-inception"
"""model_type in the config.json of its folder."""
SIDE = 299
"""Pixels a side that every picture is resized to."""
WIDTH = 2048
"""Numbers in a feature row."""
CLASSES = 1008


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation and a rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        # only blocks that keep the size are padded; the stem's are told apart by _bare below
        self.conv = nn.Conv2d(inputs, outputs, sides, stride, (sides[0] // 2, sides[1] // 2), bias=False)
        self.bn: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h', w'), >= 0."""
        return F.relu(self.bn(self.conv(x)), inplace=not torch.is_grad_enabled())

    @torch.no_grad()
    def fold(self) -> None:
        """Take the normalisation, which in evaluation is a scale and a shift, into the convolution, once."""
        if isinstance(self.bn, nn.Identity):
            return
        whole, norm = self.conv, self.bn
        folded = nn.Conv2d(
            whole.in_channels,
            whole.out_channels,
            whole.kernel_size,  # type: ignore[arg-type]
            whole.stride,  # type: ignore[arg-type]
            whole.padding,  # type: ignore[arg-type]
        )
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
        folded.weight.copy_(whole.weight.double() * scale[:, None, None, None])
        assert folded.bias is not None
        folded.bias.copy_(norm.bias.double() - mean.double() * scale)
        self.conv, self.bn = folded.requires_grad_(requires_grad=False), nn.Identity()


def _bare(inputs: int, outputs: int, stride: int = 1) -> Convolution:
    """A 3x3 convolution without padding: two pixels a side are lost, and half of them at stride 2."""
    made = Convolution(inputs, outputs, 3, stride)
    made.conv.padding = (0, 0)
    return made


class _MixedA(nn.Module):
    """35 x 35: (n, inputs, h, w) -> (n, 224 + pool, h, w). Figure 5 of the paper."""

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 64, 1)
        self.branch5x5_1 = Convolution(inputs, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5)
        self.branch3x3dbl_1 = Convolution(inputs, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3)
        self.branch_pool = Convolution(inputs, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], 1)


class _MixedB(nn.Module):
    """35 x 35 to 17 x 17: (n, 288, h, w) -> (n, 768, (h - 1) / 2, (w - 1) / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = _bare(288, 384, 2)
        self.branch3x3dbl_1 = Convolution(288, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3)
        self.branch3x3dbl_3 = _bare(96, 96, 2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, F.max_pool2d(x, 3, 2)], 1)


class _MixedC(nn.Module):
    """17 x 17 with 7x7 convolutions taken apart: (n, 768, h, w) in and out. Figure 6 of the paper."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1 = Convolution(768, inner, 1)
        self.branch7x7_2 = Convolution(inner, inner, (1, 7))
        self.branch7x7_3 = Convolution(inner, 192, (7, 1))
        self.branch7x7dbl_1 = Convolution(768, inner, 1)
        self.branch7x7dbl_2 = Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_3 = Convolution(inner, inner, (1, 7))
        self.branch7x7dbl_4 = Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_5 = Convolution(inner, 192, (1, 7))
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), seven, twice, self.branch_pool(_average(x))], 1)


class _MixedD(nn.Module):
    """17 x 17 to 8 x 8: (n, 768, h, w) -> (n, 1280, (h - 1) / 2, (w - 1) / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = _bare(192, 320, 2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1))
        self.branch7x7x3_4 = _bare(192, 192, 2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)], 1)


class _MixedE(nn.Module):
    """8 x 8 with the filters spread out: (n, inputs, h, w) -> (n, 2048, h, w). Figure 7 of the paper."""

    def __init__(self, inputs: int, *, by_maximum: bool) -> None:
        super().__init__()
        self.by_maximum = by_maximum
        self.branch1x1 = Convolution(inputs, 320, 1)
        self.branch3x3_1 = Convolution(inputs, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3))
        self.branch3x3_2b = Convolution(384, 384, (3, 1))
        self.branch3x3dbl_1 = Convolution(inputs, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.by_maximum else _average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class FidInception(nn.Module):
    """Pictures to the rows and the class logits that FID, KID and the Inception Score are made of.

    For measuring only: it is made in evaluation mode, and its weights ask for no gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _bare(3, 32, 2)
        self.Conv2d_2a_3x3 = _bare(32, 32)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _bare(80, 192)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _MixedA(192, 32), _MixedA(256, 64), _MixedA(288, 64)
        self.Mixed_6a = _MixedB()
        self.Mixed_6b, self.Mixed_6c = _MixedC(128), _MixedC(160)
        self.Mixed_6d, self.Mixed_6e = _MixedC(160), _MixedC(192)
        self.Mixed_7a = _MixedD()
        self.Mixed_7b, self.Mixed_7c = _MixedE(1280, by_maximum=False), _MixedE(2048, by_maximum=True)
        self.fc = nn.Linear(WIDTH, CLASSES)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, h, w) in 0..255, of any size, to rows (n, 2048), >= 0."""
        x = self.resized(x) / 127.5 - 1  # (n, 3, 299, 299) in -1..1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (n, 64, 147, 147)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))  # (n, 192, 71, 71)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))  # (n, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # (n, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (n, 2048, 8, 8)
        return x.mean(dim=(2, 3))

    def folded(self) -> FidInception:
        """This network, its normalisations taken into its convolutions and its weights laid out for them: the same rows
        to 1e-6, 1.6 times as fast. Weights are to be loaded before.
        """
        for module in self.modules():
            if isinstance(module, Convolution):
                module.fold()
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @staticmethod
    def resized(x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 3, 299, 299) as the reference resizes: bilinear, corners not aligned, and without
        anti-aliasing. Large pictures alias; the numbers are defined so.
        """
        if x.shape[-2:] == (SIDE, SIDE):
            return x
        return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)

    def probabilities(self, rows: Tensor) -> Tensor:
        """Rows (n, 2048) to classes (n, 1008) that sum to 1, without the layer's bias, as the Inception Score's own
        program has it.
        """
        return F.linear(rows, self.fc.weight).softmax(dim=1)


def _average(x: Tensor) -> Tensor:
    """Mean over 3x3, (n, c, h, w) in and out, padding not counted."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def check_names(weights: Mapping[str, Tensor], network: nn.Module, where: Path) -> None:
    """EaselError where `weights` are not this network's, naming the first tensor that is missing, new or misshapen."""
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items() if not is_counter(name)}
    found = {name: tuple(t.shape) for name, t in weights.items() if not is_counter(name)}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        is_now, wanted_now = found.get(name, "missing"), wanted.get(name, "no such tensor")
        raise EaselError(
            f"{where} is not FID's Inception network ({len(wrong)} tensors differ): '{name}' is {is_now}, wanted "
            f"{wanted_now}; `easel models pull fid-inception` fetches it"
        )


def is_counter(name: str) -> bool:
    """Whether a tensor only counts batches of the training."""
    return name.endswith("num_batches_tracked")
