"""Begin from the weights that ship instead of from nothing (``--from-shipped``): the same words, latents and networks.

What is on the bench already stays: a checkpoint there is further on than what ships.
"""

import shutil
from pathlib import Path

from diffusers import UNet2DConditionModel
from torch import float32, nn
from transformers import BlipForConditionalGeneration, BlipForQuestionAnswering, CLIPTextModel, CLIPTokenizer, ViTModel

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train import subject
from easel.pocket.train.blip import Pair
from easel.pocket.train.control import Frozen
from easel.pocket.train.export import POCKET
from easel.pocket.train.unet import Painter


def lay_out(work: Path, state: Path, pocket: Path = POCKET) -> None:
    """Put the shipped tokenizers and autoencoder on the bench, where they are missing."""
    folders = {
        pocket / "diffusion" / "tokenizer": state / "tokenizer-clip",
        pocket / "caption": state / "tokenizer-bert",
    }
    for source, target in folders.items():
        if not target.exists():
            target.mkdir(parents=True)
            for path in source.glob("tokenizer*.json"):
                shutil.copy(path, target)
    if not (work / "vae").exists():
        vae = PixelAutoencoder.from_pretrained(pocket / "diffusion" / "vae", torch_dtype=float32)
        vae.save_pretrained(work / "vae")


def take(model: nn.Module, of: nn.Module) -> None:
    """Give ``model`` the weights of ``of``, which is the same network."""
    model.load_state_dict({name: tensor.float() for name, tensor in of.state_dict().items()})


def into_painter(painter: Painter, pocket: Path = POCKET) -> None:
    """The shipped UNet and text encoder."""
    folder = pocket / "diffusion"
    take(painter.unet, UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=float32))
    take(painter.text_encoder, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=float32))


def into_pair(pair: Pair, pocket: Path = POCKET) -> None:
    """The shipped captioner and answerer; the heads that name facts were thrown away and begin anew."""
    take(pair.captioner, BlipForConditionalGeneration.from_pretrained(pocket / "caption", dtype=float32))
    answerer = BlipForQuestionAnswering.from_pretrained(pocket / "ask", dtype=float32)
    answerer.vision_model = pair.captioner.vision_model
    take(pair.answerer, answerer)


def into_subject(model: ViTModel, pocket: Path = POCKET) -> None:
    """The shipped subject encoder."""
    of = ViTModel.from_pretrained(pocket / "subject", add_pooling_layer=False, dtype=float32)
    subject.take(model, of.state_dict())


def frozen(pocket: Path = POCKET) -> Frozen:
    """The shipped UNet with its words, to be steered as it is."""
    folder = pocket / "diffusion"
    net: UNet2DConditionModel = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=float32)
    words = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=float32)
    return Frozen(net, words, CLIPTokenizer.from_pretrained(folder / "tokenizer"))
