"""Pictures to tensors and back: the one place where levels of 0 to 255 become numbers of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def to_tensor(picture: Image.Image) -> Tensor:
    """A picture as RGB, (1, 3, h, w) float32 in 0 to 1."""
    import numpy as np
    import torch

    pixels = np.array(picture.convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def to_signed_tensor(picture: Image.Image) -> Tensor:
    """A picture as RGB, (1, 3, h, w) float32 in -1 to 1, as autoencoders and GANs take it."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(picture.convert("RGB"), dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def levels_to_tensor(levels: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, h, w, 3) of 8 bits as (n, 3, h, w) float32 in -1 to 1."""
    import numpy as np
    import torch

    return torch.from_numpy(np.ascontiguousarray(levels)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_picture(pixels: Tensor) -> Image.Image:
    """The first of (n, 3, h, w) in 0 to 1, or of (n, 1, h, w) in grey; what is beyond 0 to 1 is cut off."""
    levels = (pixels[0].detach().expand(3, -1, -1).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(levels)


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """(n, 3, h, w) in -1 to 1 as 8-bit pictures: each level stands for an equal part of the range."""
    levels = ((pixels.detach().float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(one) for one in levels]
