"""A learned prior for a VAE: real NVP (Dinh 2017, arXiv 1605.08803), as Chen 2017 (arXiv 1611.02731) puts it there.

What an encoder makes of a set does not lie as the standard normal does; a decoder that is then asked by normal numbers
is asked where it has learned nothing. The flow brings normal numbers to where the codes are, and back, with the
determinant.
"""

import torch
from torch import Tensor, nn

COUPLINGS, WIDE = 8, 512
STEEP = 2.0
"""The largest logarithm of a scale, so that no number runs away early."""


class Coupling(nn.Module):
    """The order is turned around, then the first half scales and shifts the second (section 3.2), then each number is
    scaled and shifted by itself (actnorm, Kingma 2018, arXiv 1807.03039, section 3.1). Begins as that turning alone.
    """

    def __init__(self, size: int, wide: int = WIDE) -> None:
        super().__init__()
        self.kept = size // 2
        self.tell = nn.Sequential(
            nn.Linear(self.kept, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU(),
            nn.Linear(wide, 2 * (size - self.kept)),
        )  # fmt: skip
        for weight in self.tell[-1].parameters():
            nn.init.zeros_(weight)
        self.scale, self.shift = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(size))

    def scale_and_shift(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the scale, and the shift, of the second half by the first, (n, size / 2) each."""
        scale, shift = self.tell(first).chunk(2, dim=1)
        return STEEP * torch.tanh(scale / STEEP), shift

    def forward(self, u: Tensor) -> Tensor:
        """(n, size) in and out."""
        first, second = u.flip(1).tensor_split([self.kept], dim=1)
        scale, shift = self.scale_and_shift(first)
        return torch.cat([first, second * scale.exp() + shift], dim=1) * self.scale.exp() + self.shift

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(n, size) back, and the logarithm of the determinant of going back, (n,)."""
        first, second = ((z - self.shift) * (-self.scale).exp()).tensor_split([self.kept], dim=1)
        scale, shift = self.scale_and_shift(first)
        u = torch.cat([first, (second - shift) * (-scale).exp()], dim=1).flip(1)
        return u, -scale.sum(dim=1) - self.scale.sum()


class Flow(nn.Module):
    """Normal numbers u (n, size) to codes z (n, size), one to one; in float32, whatever surrounds it. An even number of
    couplings: untrained, z is u.
    """

    def __init__(self, size: int, wide: int = WIDE) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(size, wide) for _ in range(COUPLINGS))

    def forward(self, u: Tensor) -> Tensor:
        """(n, size) -> (n, size)."""
        with torch.autocast(u.device.type, enabled=False):
            z = u.float()
            for coupling in self.couplings:
                z = coupling(z)
        return z

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z -> u (n, size), and log |du/dz| (n,): log p(z) is log N(u; 0, 1) plus that (section 3.1)."""
        with torch.autocast(z.device.type, enabled=False):
            u, log_determinant = z.float(), z.new_zeros(len(z), dtype=torch.float32)
            for coupling in reversed(self.couplings):
                u, own = coupling.inverse(u)  # type: ignore[operator]
                log_determinant = log_determinant + own
        return u, log_determinant
