"""Curves of a training: losses wait for a row, and a row is their mean."""

import torch

from easel.training.curves import Losses


def test_losses_wait_for_a_row_also_over_a_restart() -> None:
    losses = Losses()
    for value in (1.0, 2.0):
        losses.add({"critic": torch.tensor(value), "made": torch.tensor(10 * value)})
    later = Losses()
    later.resume(losses.kept())
    later.add({"critic": torch.tensor(6.0)})
    assert later.kept() == {"critic": [1, 2, 6], "made": [10, 20]}
    assert later.taken() == {"critic": 3, "made": 15}
    assert later.taken() == {} == later.kept()
