"""Train pocket: ``python -m easel.pocket.train TARGET...`` (make pocket). Any target can be stopped and goes on
later.

Targets: data, vae, blip, clip, subject, perceptual, sharpen, unet, instruct, depth, control, adapter, judge, score, or
all. State lives below --work; weights go to the package.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from transformers import BertTokenizer, CLIPTokenizer, DPTForDepthEstimation

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train import (
    blip,
    cards,
    clip,
    control,
    depth,
    edited,
    export,
    followed,
    instruct,
    judge,
    packing,
    pairs,
    perceptual,
    pictures,
    reader,
    sameness,
    samples,
    score,
    shipped,
    spotter,
    subject,
    text,
    unet,
    vae,
)
from easel.pocket.train.pictures import Store
from easel.pocket.train.spotter import Spotter
from easel.pocket.train.unet import Latents

PACKERS: dict[str, Callable[[Path], None]] = {
    "plain": packing.pack_plain,
    "scenes": packing.pack_scenes,
    "styled": packing.pack_styled,
    "subjects": packing.pack_subjects,
    "manners": packing.pack_manners,
    "redrawn": packing.pack_redrawn,
    "kin": packing.pack_kin,
    "solids": packing.pack_solids,
}
READ = {"plain": 0.18, "scenes": 0.14, "subjects": 0.06, "styled": 0.14, "manners": 0.48}
"""How often what reads pictures sees each store."""
PARTS = ("vae", "blip", "clip", "subject", "perceptual", "sharpen", "unet", "instruct", "depth", "control", "adapter")
TARGETS = ("data", *PARTS, "judge", "score", "all")


class Bench:
    """Where things lie on the work bench, and the parts that other parts begin from."""

    def __init__(self, work: Path, photos: Path, device: str = "cpu", from_shipped: bool = False) -> None:
        self.work, self.photos, self.device, self.from_shipped = work, photos, device, from_shipped
        self.cache, self.state = work / "cache", work / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        if from_shipped:
            shipped.lay_out(self.work, self.state)

    def data(self) -> None:
        """Draw and pack every store that is missing."""
        if not Store.exists(self.cache, "photos"):
            if not pictures.photos(self.photos):
                raise SystemExit(f"no captioned photos below {self.photos}: name their folder with --photos")
            pictures.pack_photos(self.photos, self.cache)
        for name, make in PACKERS.items():
            if not Store.exists(self.cache, name):
                make(self.cache)

    def store(self, name: str) -> Store:
        """One store."""
        return Store(self.cache, name)

    def mix(self) -> samples.Mix:
        """What readers of pictures learn from: mostly the world, one time in four real photos."""
        return samples.Mix([self.store(name) for name in READ], list(READ.values()))

    def seen(self, shares: Mapping[str, float] = READ, side: int = 256) -> Latents:
        """The same, or other shares of the same stores, with their latents."""
        stores = {name: self.store(name) for name in shares}
        return Latents(self.vae().to(self.device), stores, list(shares.values()), side, self.cache)

    def spotter(self) -> Spotter:
        """The network that tells painter and readers what matters; trained once."""
        return spotter.run(self.seen(), self.state, device=self.device)

    def tokenizers(self) -> tuple[CLIPTokenizer, BertTokenizer]:
        """CLIP's and BERT's."""
        known = (self.state / "tokenizer-bert").exists()
        return text.tokenizers([] if known else [self.store(name) for name in ("scenes", "styled")], self.state)

    def real_and_drawn(self) -> list[Store]:
        """What the autoencoder learns from."""
        return [self.store(name) for name in ("photos", "scenes", "styled")]

    def vae(self) -> PixelAutoencoder:
        """Train the autoencoder; from then on it is read from its folder."""
        folder = self.work / "vae"
        if not folder.exists():
            vae.run(self.real_and_drawn(), self.state, self.device).save_pretrained(folder)
        model: PixelAutoencoder = PixelAutoencoder.from_pretrained(folder)
        model.eval()
        return model

    def pair(self) -> blip.Pair:
        """Captioner and answerer, trained; once they are, this only reads them."""
        tokenizer = self.tokenizers()[1]
        pair = blip.begin(tokenizer)
        if self.from_shipped:
            shipped.into_pair(pair)
        blip.run(pair.to(self.device), self.seen(), self.spotter(), tokenizer, self.state)
        return pair

    def blip(self) -> None:
        """Train and write captioner and answerer."""
        pair, processor = self.pair(), blip.processor(self.tokenizers()[1])
        export.write_transformers("caption", pair.captioner, [processor])
        export.write_transformers("ask", pair.answerer, [processor])

    def clip(self) -> None:
        """Train and write CLIP."""
        tokenizer, vision = self.tokenizers()[0], self.pair().captioner.vision_model
        model = clip.run(self.mix(), tokenizer, vision, self.state, self.device)
        export.write_transformers("clip", model, [tokenizer, clip.image_processor()])

    def subject(self) -> None:
        """Train and write the subject encoder."""
        model = subject.network()
        if self.from_shipped:
            shipped.into_subject(model)
        else:
            subject.adopt(model, self.pair().captioner.vision_model)
        subject.run(model, self.store("subjects"), self.store("photos"), self.state, self.device)
        export.write_transformers("subject", model, [subject.image_processor()])

    def perceptual(self) -> None:
        """Train and write the perceptual net."""
        model = perceptual.run(self.store("styled"), self.state, self.device)
        export.write_transformers("perceptual", model, [perceptual.image_processor()])

    def sharpen(self) -> None:
        """Train the autoencoder's decoder on, with the perceptual net; the latents stay what they are."""
        model, net = self.vae(), perceptual.run(self.store("styled"), self.state, self.device)
        vae.sharpen(model, net, self.real_and_drawn(), self.state, self.device)
        model.to("cpu").save_pretrained(self.work / "vae")

    def unet(self) -> None:
        """Train UNet and text encoder, 128 px then 256 px, and write the diffusion folder."""
        tokenizer = self.tokenizers()[0]
        torch.manual_seed(5)
        painter = unet.Painter(tokenizer).to(self.device)
        if self.from_shipped:
            shipped.into_painter(painter)
        else:
            reader.run(painter.text_encoder, self.mix(), tokenizer, self.state)
            if muddled := reader.confused(painter.text_encoder, tokenizer):
                raise SystemExit(
                    f"the text encoder takes {muddled[0]} for one another: give reader.SCHEDULE more steps"
                )
        for side, schedule in unet.STAGES.items():
            latents, state = self.seen(unet.SHARES[side], side), self.state / f"unet-{side}.safetensors"
            painter.text_encoder.requires_grad_(side == 128)
            losses = self.spotter().losses if side == 256 else None
            unet.run(painter, latents, tokenizer, schedule, state, losses)
        export.write_diffusion(painter, self.vae(), tokenizer)

    def instruct(self) -> None:
        """Train and write the UNet that edits by instruction, from the painter as it ships."""
        vae = self.vae()
        tasks = {"scenes": range(pairs.FIRST, pairs.FIRST + pairs.SCENES), "photos": pairs.cuts(self.photos)}
        for kind, some in tasks.items():
            if not pairs.is_packed(self.cache, kind):
                pairs.pack(kind, some, self.work / "vae", self.cache)
        tokenizer = self.tokenizers()[0]
        painter = unet.Painter(tokenizer).to(self.device)
        shipped.into_painter(painter)
        wide = instruct.widened(painter.unet).to(self.device, memory_format=torch.channels_last)
        said, data = instruct.Words(painter.text_encoder, tokenizer), pairs.Pairs(self.cache)
        instruct.run(wide, said, data, vae.config.scaling_factor, self.state / "instruct.safetensors")
        export.write_instruct(wide)

    def depth_net(self) -> DPTForDepthEstimation:
        """The depth net, trained; once it is, this only reads it."""
        return depth.run(self.store("solids"), self.store("photos"), self.state, self.device)

    def depth(self) -> None:
        """Train and write the depth net."""
        export.write_transformers("depth", self.depth_net(), [depth.image_processor()])

    def guided(self) -> control.Guided:
        """What controls learn from."""
        vae = self.vae().to(self.device)
        return control.Guided(vae, self.store("solids"), self.store("styled"), self.depth_net(), self.cache)

    def control(self) -> None:
        """Train and write the ControlNet, on the UNet that ships."""
        export.write_diffusers("control", control.run(shipped.frozen(), self.guided(), self.state, self.device))

    def adapter(self) -> None:
        """Train and write the adapter, on the UNet that ships."""
        net = control.run_adapter(shipped.frozen(), self.guided(), self.state, self.device)
        export.write_diffusers("adapter-canny", net)

    def judge(self) -> None:
        """Train the judge of the scores, which is no part of pocket."""
        if not Store.exists(self.cache, "judged"):
            judge.pack_judged(self.cache)
        judge.save(judge.run(self.store("judged"), self.state, device=self.device))

    def score(self) -> None:
        """Measure the shipped weights on held-out scenes and photos, and write the model cards."""
        score.found_photos(self.photos)
        if not judge.WEIGHTS.exists():
            self.judge()
        score.run(export.POCKET, self.photos, score.PARTS | sameness.PARTS | edited.PARTS | followed.PARTS)
        sameness.tell()
        cards.write(export.POCKET)

    def all(self) -> None:
        """Every part, in the order in which they need each other."""
        for target in ("data", *PARTS, "score"):
            getattr(self, target)()


def main() -> None:
    """Read the targets and make them."""
    parser = argparse.ArgumentParser(prog="easel.pocket.train", description=__doc__)
    parser.add_argument("targets", nargs="+", choices=TARGETS)
    parser.add_argument("--work", type=Path, default=Path("build/pocket"), help="caches, checkpoints, logs")
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"), help="folders of captioned photos")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--from-shipped",
        action="store_true",
        help="begin painter, BLIPs and subject encoder from the shipped weights",
    )
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    bench = Bench(asked.work, asked.photos, asked.device, asked.from_shipped)
    for target in asked.targets:
        getattr(bench, target)()


if __name__ == "__main__":
    main()
