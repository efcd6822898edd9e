"""Plain networks, one a file. They know tensors, and nothing of recipes, jobs or folders.

The seven that are trained from a folder of pictures keep one contract. Each file has a frozen ``Config`` and a
function ``players(config)``, the networks that training brings together::

    config = networks.config({"network": "stylegan", "resolution": 64})
    players = networks.players(config)                            # {"generator": ..., "critic": ...}
    z = players["generator"].latent(4, generator=torch.Generator().manual_seed(0))
    pictures = players["generator"](z, condition)                 # (4, 3, 64, 64) in [-1, 1], float32

| player | call | gives |
|---|---|---|
| generator, all | ``generator(z, condition=None)`` | pictures (n, 3, side, side) in [-1, 1] |
| generator, all | ``generator.latent(n, generator=torch.Generator())`` | z (n, ...), standard normal |
| generator, stylegan | ``mapping(z)``, ``styles(z, condition, psi)`` | w (n, style), styles (n, layers, style) |
| generator, stylegan | ``synthesis(styles, noise)`` | pictures |
| generator, stackgan | ``moments(condition)`` | mean and log variance of the conditioning, (n, words) each |
| generator, vae | ``decode(codes, condition=None)`` | pictures of codes as the encoder gives them |
| generator, vae | ``latent_of(codes)`` | the z that codes are drawn from |
| critic | ``critic(x, condition=None)`` | scores (n,), higher is more real |
| classifier, control-gan | ``classifier(x)`` | logits (n, attributes) |
| classifier, cgan with one | ``classifier(x)`` | logits (n, classes) |
| encoder, vae | ``encoder(x, condition=None)`` | mean and log variance of z, (n, latent) each |

``condition`` is by network: nothing (dcgan); labels, whole numbers (n,) or shares (n, classes) (cgan; stylegan and vae
where ``classes`` is above 0); attributes (n, attributes) from 0, without, to 1, with (control-gan); embeddings of
captions (n, embedding) (text-dcgan, stackgan). A condition that is missing or does not fit is an `EaselError`.

A picture is a function of its z and condition alone in ``eval()``: batch statistics and noise are then those that were
stored. While training, batch norm looks at the batch and StyleGAN draws its noise from torch's own random numbers.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from easel.errors import EaselError, nearest, unknown

FILES = {
    "dcgan": "dcgan",
    "cgan": "cgan",
    "control-gan": "control_gan",
    "stylegan": "stylegan",
    "vae": "vae",
    "text-dcgan": "text_dcgan",
    "stackgan": "stackgan",
}
"""The words people use, and the files of the networks."""


def config(values: Mapping[str, Any]) -> Any:
    """The frozen configuration that `settings` described; missing values are the defaults.

    Raises:
        EaselError: no such network or setting (nearest named), or a value that cannot be.
    """
    word = str(values.get("network", ""))
    if word not in FILES:
        raise unknown("network", word, FILES)
    kind = importlib.import_module(f"easel.networks.{FILES[word]}").Config
    known = {field.name: type(field.default) for field in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise EaselError(f"{word} has no setting called '{name}': {nearest(name, known)}")
        wanted = (int, float) if known[name] is float else (known[name],)
        if type(value) not in wanted:
            raise EaselError(f"{word}: {name} is {value!r}, but takes {known[name].__name__}")
    return kind(**values)


def settings(configuration: Any) -> dict[str, Any]:
    """A configuration as plain values for config.json; `config` reads them back."""
    return dataclasses.asdict(configuration)


def players(configuration: Any) -> dict[str, nn.Module]:
    """The untrained networks of a configuration by their part: generator, critic, classifier, encoder."""
    module = importlib.import_module(f"easel.networks.{FILES[configuration.network]}")
    made: dict[str, nn.Module] = module.players(configuration)
    return made


def fit_words(made: Mapping[str, nn.Module], embeddings: Tensor) -> None:
    """Tell all `players` the mean and spread of the training captions' embeddings, (captions, embedding).

    Once, before the first step; the numbers are stored with the weights. Without it they are taken as they come.
    """
    from easel.networks.layers import Standard

    for player in made.values():
        for module in player.modules():
            if isinstance(module, Standard):
                module.fit(embeddings)
