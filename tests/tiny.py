"""Tiny checkpoints in every layout that is found in the wild, with random weights from a seed. Each function writes
one and returns it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

WIDTH = 32


def words(folder: Path, *, old: bool = True, window: int = 77) -> Any:
    """A byte-level CLIP tokenizer without merges (a token a letter), as vocab.json + merges.txt, or as
    tokenizer.json.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    folder.mkdir(parents=True, exist_ok=True)
    if not old:
        CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=window).save_pretrained(folder)
    else:
        special = {"bos_token": tokens[-2], "eos_token": tokens[-1], "unk_token": tokens[-1], "pad_token": tokens[-1]}
        (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        config = special | {"model_max_length": window, "tokenizer_class": "CLIPTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder)


def _text_config(tokenizer: Any, **more: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def _unet(channels: int = 4, cross: int = WIDTH, **more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=cross,
        attention_head_dim=8,
        norm_num_groups=8,
        **more,
    )


def _vae(**more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        **more,
    )


def scheduler(folder: Path, kind: str = "PNDMScheduler", **more: Any) -> None:
    """The scheduler_config.json of Stable Diffusion 1.x, with what `more` says."""
    settings = {
        "_class_name": kind,
        "_diffusers_version": "0.6.0",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "steps_offset": 1,
        "clip_sample": False,
        "skip_prk_steps": True,
        "set_alpha_to_one": False,
    } | more
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scheduler_config.json").write_text(json.dumps(settings), encoding="utf-8")


SD_PARTS: dict[str, Any] = {
    "_diffusers_version": "0.6.0",
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
"""The index of a Stable Diffusion 1.x on the hub, without the feature extractor, whose class has had two names."""


def _index(folder: Path, kind: str, parts: dict[str, Any]) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind, **parts}, indent=1), encoding="utf-8")


def old_names(file: Path) -> None:
    """Give a text encoder's weights back the `text_model.` prefix that transformers 5 leaves away."""
    weights = load_file(file)
    save_file({f"text_model.{key}": tensor for key, tensor in weights.items()}, file, metadata={"format": "pt"})


def sd(folder: Path, seed: int = 0) -> Path:
    """Stable Diffusion 1.x as on the hub: PNDM, `text_model.` prefix, vocab.json and merges.txt, a safety checker
    named in the index.
    """
    from transformers import CLIPTextModel

    torch.manual_seed(seed)
    tokenizer = words(folder / "tokenizer")
    CLIPTextModel(_text_config(tokenizer)).save_pretrained(folder / "text_encoder")
    old_names(folder / "text_encoder" / "model.safetensors")
    _unet().save_pretrained(folder / "unet")
    _vae(scaling_factor=0.18215).save_pretrained(folder / "vae")
    scheduler(folder / "scheduler")
    _index(
        folder,
        "StableDiffusionPipeline",
        {**SD_PARTS, "feature_extractor": ["transformers", "CLIPFeatureExtractor"]},
    )
    return folder


def eight_channels(folder: Path, seed: int = 0, *, float8: bool = False) -> Path:
    """As pocket: eight latent channels, easel's own autoencoder, v-prediction with zero terminal SNR, `easel.json`;
    matrices maybe float8.
    """
    from transformers import CLIPTextModel

    from easel.networks.autoencoder import PixelAutoencoder

    torch.manual_seed(seed)
    tokenizer = words(folder / "tokenizer", old=False)
    CLIPTextModel(_text_config(tokenizer)).save_pretrained(folder / "text_encoder")
    _unet(8).save_pretrained(folder / "unet")
    autoencoder = PixelAutoencoder(
        latent_channels=8,
        block_out_channels=(3, 12, 16, 16),
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 1),
        scaling_factor=0.5,
    )
    autoencoder.save_pretrained(folder / "vae")
    scheduler(
        folder / "scheduler",
        "DDIMScheduler",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    _index(
        folder,
        "StableDiffusionPipeline",
        {
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["easel.networks.autoencoder", "PixelAutoencoder"],
            "safety_checker": [None, None],
            "feature_extractor": [None, None],
        },
    )
    (folder / "easel.json").write_text(
        json.dumps({"guidance_scale": 4.0, "strength": 0.7, "scheduler": "dpmpp-2m"}), encoding="utf-8"
    )
    if float8:
        for part in ("unet/diffusion_pytorch_model", "text_encoder/model", "vae/diffusion_pytorch_model"):
            to_float8(folder / f"{part}.safetensors")
    return folder


def to_float8(file: Path) -> None:
    """Store matrices as float8_e4m3fn and the rest as float16."""
    weights = load_file(file)
    kinds = {key: torch.float8_e4m3fn if tensor.ndim > 1 else torch.float16 for key, tensor in weights.items()}
    save_file({key: tensor.to(kinds[key]) for key, tensor in weights.items()}, file, metadata={"format": "pt"})


def sdxl(folder: Path, seed: int = 0) -> Path:
    """Stable Diffusion XL: two text encoders, time ids, pooled embeddings."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer = words(folder / name)
    CLIPTextModel(_text_config(tokenizer)).save_pretrained(folder / "text_encoder")
    CLIPTextModelWithProjection(_text_config(tokenizer)).save_pretrained(folder / "text_encoder_2")
    unet = _unet(
        cross=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        use_linear_projection=True,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        transformer_layers_per_block=(1, 1),
    )
    unet.save_pretrained(folder / "unet")
    _vae(scaling_factor=0.13025).save_pretrained(folder / "vae")
    scheduler(folder / "scheduler", "EulerDiscreteScheduler")
    _index(
        folder,
        "StableDiffusionXLPipeline",
        {
            "force_zeros_for_empty_prompt": True,
            "scheduler": ["diffusers", "EulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    return folder


RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
)
AROUND = {
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "conv_in.": "input_blocks.0.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
}
VAE_ATTENTION = (
    ("group_norm.", "norm."),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
)


def ldm_unet_name(key: str, layers: int = 1) -> str:
    """A diffusers UNet's tensor name in the original layout (one level with attention first, as in SD-1.x)."""
    for ours, theirs in AROUND.items():
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    block, _, rest = key.partition(".")
    if block == "mid_block":
        kind, number, tail = rest.split(".", 2)
        name = f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}."
        return name + _resnet(tail, kind)
    level, kind, number, tail = rest.split(".", 3)
    i, j, wide = int(level), int(number), layers + 1
    if kind == "downsamplers":
        return f"input_blocks.{wide * (i + 1)}.0.op.{tail.removeprefix('conv.')}"
    if kind == "upsamplers":  # tiny: the first up block has no attention, so its upsampler is the second entry
        return f"output_blocks.{wide * i + layers}.{1 if i == 0 else 2}.{tail}"
    slot = 1 if kind == "attentions" else 0
    if block == "down_blocks":
        return f"input_blocks.{wide * i + j + 1}.{slot}.{_resnet(tail, kind)}"
    return f"output_blocks.{wide * i + j}.{slot}.{_resnet(tail, kind)}"


def _resnet(tail: str, kind: str) -> str:
    for ours, theirs in RESNET if kind == "resnets" else ():
        tail = tail.replace(ours, theirs)
    return tail


def ldm_vae(weights: dict[str, Any]) -> dict[str, Any]:
    """A diffusers AutoencoderKL of four levels in the original layout."""
    made = {}
    for key, tensor in weights.items():
        name = key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        name = name.replace("mid_block.attentions.0.", "mid.attn_1.")
        for i in range(2):
            name = name.replace(f"mid_block.resnets.{i}.", f"mid.block_{i + 1}.")
        for i in range(4):
            name = name.replace(f"down_blocks.{i}.downsamplers.0.", f"down.{i}.downsample.")
            name = name.replace(f"up_blocks.{i}.upsamplers.0.", f"up.{3 - i}.upsample.")
            for j in range(3):
                name = name.replace(f"down_blocks.{i}.resnets.{j}.", f"down.{i}.block.{j}.")
                name = name.replace(f"up_blocks.{i}.resnets.{j}.", f"up.{3 - i}.block.{j}.")
        if "attn_1" in name:
            for ours, theirs in VAE_ATTENTION:
                name = name.replace(ours, theirs)
        made[name] = tensor[..., None, None] if "attn_1" in name and tensor.ndim == 2 else tensor
    return made


def single_file(folder: Path, file: Path, layers: int = 1, variant: str = "") -> Path:
    """The SD-1.x checkpoint of a `sd()` folder, with so many layers a block, as one .safetensors file in the original
    layout.
    """
    unet = load_file(folder / "unet" / f"diffusion_pytorch_model{variant}.safetensors")
    vae = load_file(folder / "vae" / f"diffusion_pytorch_model{variant}.safetensors")
    text = load_file(folder / "text_encoder" / f"model{variant}.safetensors")
    weights = {f"model.diffusion_model.{ldm_unet_name(key, layers)}": tensor for key, tensor in unet.items()}
    weights |= {f"first_stage_model.{key}": tensor for key, tensor in ldm_vae(vae).items()}
    weights |= {f"cond_stage_model.transformer.{key}": tensor for key, tensor in text.items()}
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, file, metadata={"format": "pt"})
    return file


def configs(folder: Path, target: Path) -> Path:
    """Only the configurations and words of a diffusers folder, no weights."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    return target


def lora(
    file: Path, layout: str = "diffusers", *, seed: int = 0, cross: int = WIDTH, rank: int = 2, strength: float = 0.5
) -> Path:
    """A LoRA for the tiny SD: four UNet layers and two of the text encoder, in the diffusers or the kohya layout."""
    torch.manual_seed(seed)
    block = "down_blocks.0.attentions.0.transformer_blocks.0"
    layers = {("unet", f"{block}.attn1.{part}"): (32, 32) for part in ("to_q", "to_v", "to_out.0")}
    layers["unet", f"{block}.attn2.to_k"] = (32, cross)
    layers |= {
        ("text_encoder", f"text_model.encoder.layers.0.self_attn.{part}"): (32, 32) for part in ("q_proj", "v_proj")
    }
    weights: dict[str, Any] = {}
    for (model, path), (out, into) in layers.items():
        down, up = torch.randn(rank, into) * strength, torch.randn(out, rank) * strength
        if layout == "kohya":
            stem = f"{'lora_unet' if model == 'unet' else 'lora_te'}_{path.replace('.', '_')}"
            weights |= {
                f"{stem}.lora_down.weight": down,
                f"{stem}.lora_up.weight": up,
                f"{stem}.alpha": torch.tensor(float(rank)),
            }
        else:
            word = "lora" if model == "unet" else "lora_linear_layer"
            weights |= {f"{model}.{path}.{word}.down.weight": down, f"{model}.{path}.{word}.up.weight": up}
    save_file(weights, file, metadata={"format": "pt"})
    return file


def _bert_words(folder: Path) -> Any:
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    common = [
        "is",
        "this",
        "a",
        "picture",
        "of",
        "red",
        "blue",
        "bird",
        "cat",
        "on",
        "the",
        "beach",
        "moon",
        "yes",
        "no",
        "what",
        "colour",
        "it",
        "?",
        ",",
    ]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *common, "[DEC]", "[ENC]"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return BertTokenizer.from_pretrained(folder)


def blip(folder: Path, kind: str = "caption", seed: int = 0) -> Path:
    """BLIP for captions ('caption') or for questions ('ask'), with vocab.txt and preprocessor_config.json as on the
    hub.
    """
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipForQuestionAnswering

    torch.manual_seed(seed)
    tokenizer = _bert_words(folder)
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BlipConfig(
        text_config=shape
        | {
            "vocab_size": len(tokenizer),
            "encoder_hidden_size": WIDTH,
            "max_position_embeddings": 64,
            "projection_dim": WIDTH,
            "bos_token_id": tokenizer.convert_tokens_to_ids("[DEC]"),
            "sep_token_id": tokenizer.sep_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "is_decoder": True,
        },
        vision_config=shape | {"image_size": 32, "patch_size": 8},
        projection_dim=WIDTH,
        image_text_hidden_size=WIDTH,
    )
    model = BlipForConditionalGeneration(config) if kind == "caption" else BlipForQuestionAnswering(config)
    model.save_pretrained(folder)
    _preprocessor(folder, "BlipImageProcessor", {"height": 32, "width": 32})
    return folder


def _preprocessor(folder: Path, kind: str, size: dict[str, int] | int, **more: Any) -> None:
    settings = {
        "feature_extractor_type" if "Extractor" in kind else "image_processor_type": kind,
        "do_resize": True,
        "size": size,
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_convert_rgb": True,
        "resample": 3,
    } | more
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")


def clip(folder: Path, seed: int = 0) -> Path:
    """CLIP with vocab.json + merges.txt."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    tokenizer = words(folder)
    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": WIDTH,
    }
    text = _text_config(tokenizer).to_dict()
    config = CLIPConfig(
        text_config=text, vision_config=shape | {"image_size": 32, "patch_size": 8}, projection_dim=WIDTH
    )
    CLIPModel(config).save_pretrained(folder)
    _preprocessor(folder, "CLIPFeatureExtractor", 32, do_center_crop=True, crop_size=32)
    return folder


def vit(folder: Path, seed: int = 0) -> Path:
    """ViT as facebook/dino-vits16: no pooler in the weights, an old feature extractor's name in the configuration."""
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(seed)
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ViTModel(ViTConfig(image_size=32, patch_size=8, **shape), add_pooling_layer=False).save_pretrained(folder)
    _preprocessor(folder, "ViTFeatureExtractor", 32)
    return folder


def dinov2(folder: Path, seed: int = 0) -> Path:
    """DINOv2, with Bit's image processor as on the hub."""
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(seed)
    config = Dinov2Config(
        image_size=28, patch_size=14, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2
    )
    Dinov2Model(config).save_pretrained(folder)
    crop = {"height": 28, "width": 28}
    _preprocessor(folder, "BitImageProcessor", {"shortest_edge": 32}, do_center_crop=True, crop_size=crop)
    return folder


def resnet(folder: Path, seed: int = 0, *, head: bool = False) -> Path:
    """ResNet, bare or with the classifier it has on the hub."""
    from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

    torch.manual_seed(seed)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    (ResNetForImageClassification(config) if head else ResNetModel(config)).save_pretrained(folder)
    _preprocessor(folder, "ConvNextFeatureExtractor", 32, crop_pct=0.875)
    return folder


def pickle_file(file: Path, kind: str = "zip") -> Path:
    """A pickle under any name: torch's zip, or a raw pickle of protocol 0, 2 or 5."""
    import pickle

    if kind == "zip":
        torch.save({"weight": torch.zeros(2)}, file)
    else:
        file.write_bytes(pickle.dumps({"weight": [0.0, 1.0]}, protocol=int(kind)))
    return file


def poison(file: Path, name: str | None = None) -> str:
    """Put a NaN into one tensor of a .safetensors file; the tensor's name."""
    weights = load_file(file)
    key = name or next(key for key, tensor in weights.items() if tensor.is_floating_point())
    weights[key].view(-1)[0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    return key


def with_channels(base: Path, folder: Path, kind: str, seed: int = 1) -> Path:
    """A folder of `sd`, `eight_channels` or `sdxl` as a model for 'instruct' or 'inpaint': its UNet takes more."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    shutil.copytree(base, folder)
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    latent = config["in_channels"]
    config["in_channels"] = 2 * latent + (kind == "inpaint")
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    word = {"instruct": "InstructPix2Pix", "inpaint": "Inpaint"}[kind]
    index["_class_name"] = index["_class_name"].replace("Pipeline", f"{word}Pipeline")
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def controlnet(base: Path, folder: Path, seed: int = 2, *, zero: bool = False) -> Path:
    """A ControlNet for a diffusers folder, as on the hub; `zero` leaves its last convolutions at zero, as training
    begins.
    """
    from diffusers import ControlNetModel, UNet2DConditionModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    made = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16, 16))
    for name, weight in made.named_parameters():
        if not zero and name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(weight, std=0.3)
    made.save_pretrained(folder)
    return folder


HINTS = {"conv_in": 0, **{f"blocks.{i}": 2 * i + 2 for i in range(6)}, "conv_out": 14}


def ldm_controlnet_name(key: str, layers: int = 1) -> str:
    """A diffusers ControlNet's tensor name in the original layout, as `ldm_unet_name` does it."""
    for ours, theirs in (("controlnet_down_blocks.", "zero_convs."), ("controlnet_mid_block.", "middle_block_out.0.")):
        if key.startswith(ours):
            rest = key.removeprefix(ours)
            return theirs + (rest.replace(".", ".0.", 1) if theirs.startswith("zero") else rest)
    if key.startswith("controlnet_cond_embedding."):
        part, _, rest = key.removeprefix("controlnet_cond_embedding.").rpartition(".")
        return f"input_hint_block.{HINTS[part]}.{rest}"
    return ldm_unet_name(key, layers)


def controlnet_file(folder: Path, file: Path, layout: str = "diffusers") -> Path:
    """The ControlNet of a folder as one file: in diffusers' names, or the original ones with or without a prefix."""
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    if layout != "diffusers":
        start = "control_model." if layout == "original" else ""
        weights = {start + ldm_controlnet_name(key): tensor for key, tensor in weights.items()}
    save_file(weights, file, metadata={"format": "pt"})
    return file


def adapter(base: Path, folder: Path, seed: int = 3, *, channels: int = 3, factor: int = 8) -> Path:
    """A T2I-Adapter for a diffusers folder, whose VAE has this factor, as on the hub."""
    from diffusers import T2IAdapter, UNet2DConditionModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    widths = list(unet.config.block_out_channels)
    T2IAdapter(channels, widths, num_res_blocks=2, downscale_factor=factor).save_pretrained(folder)
    return folder


def adapter_file(folder: Path, file: Path, layout: str = "diffusers") -> Path:
    """The T2I-Adapter of a folder as one file: in diffusers' names, or the original ones."""
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    if layout == "original":
        weights = {_original_adapter_name(key.removeprefix("adapter.")): tensor for key, tensor in weights.items()}
    save_file(weights, file, metadata={"format": "pt"})
    return file


def _original_adapter_name(key: str) -> str:
    parts = key.split(".")
    if parts[0] != "body" or len(parts) < 4:
        return key
    level = int(parts[1])
    if parts[2] == "in_conv":
        return f"body.{2 * level}.in_conv.{parts[3]}"
    return f"body.{2 * level + int(parts[3])}.{'.'.join(parts[4:])}"


def dpt(folder: Path, seed: int = 0, kind: str = "dpt") -> Path:
    """A model of depth: DPT as Intel/dpt-large, or Depth Anything."""
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
        DPTConfig,
        DPTForDepthEstimation,
    )

    torch.manual_seed(seed)
    shape: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4}
    if kind == "dpt":
        config = DPTConfig(
            **shape,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 16, 16],
            fusion_hidden_size=8,
            is_hybrid=False,
        )
        DPTForDepthEstimation(config).save_pretrained(folder)
        _preprocessor(folder, "DPTImageProcessor", {"height": 32, "width": 32})
        return folder
    stages = [f"stage{i}" for i in range(1, 5)]
    backbone = Dinov2Config(
        **shape, image_size=28, patch_size=14, mlp_ratio=2, out_features=stages, reshape_hidden_states=False
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=WIDTH,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    more = {"keep_aspect_ratio": True, "ensure_multiple_of": 14}
    _preprocessor(folder, "DPTImageProcessor", {"height": 56, "width": 56}, **more)
    return folder
