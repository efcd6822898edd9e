"""What `easel models pull` does: repositories of the hub, and single pickled files outside it, which are compared with
their checksum, turned into safetensors once, and never opened again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from easel.errors import EaselError, shortened, unknown
from easel.files import check_folder, write_atomic
from easel.models.catalog.locate import converted_folder, is_hub_id
from easel.models.catalog.tables import INSIDE, MOVED, ROWS, Source, source_of

CHUNK = 1 << 20
DIFFUSERS_PICKLE = "diffusion_pytorch_model.bin"
"""The weights of a part of diffusers where a repository has only pickles."""
PATIENCE = 30.0
"""Seconds without a byte after which a download is given up."""


def pull(
    name: str,
    report: Callable[[int, int], None] | None = None,
    *,
    configs_only: bool = False,
    file: Path | None = None,
) -> list[Path]:
    """Fetch what a catalogue word or a hub id stands for into the hub cache; the folders where it now is.

    Args:
        report: called with (repositories done, repositories in all); may raise Cancelled.
        configs_only: only configurations and tokenizers (a few MB), which is what a single-file checkpoint needs.
        file: for a model that is one file outside the hub, a copy of it that is here already.
    """
    wanted = sources(name)
    first = wanted[0]
    if first.url:
        return [fetch(first, report, file)]
    if file is not None:
        raise EaselError(f"'{name}' is not a single file: leave --file away, and it is fetched from the hub")
    folders = []
    for number, source in enumerate(wanted):
        if report is not None:
            report(number, len(wanted))
        folders.append(download(source, configs_only=configs_only))
    if report is not None:
        report(len(wanted), len(wanted))
    return folders


def sources(name: str) -> list[Source]:
    """What a catalogue word or a hub id stands for. Raises EaselError where it is neither, or inside the package."""
    if name in ROWS:
        repositories = [part for part in dict.fromkeys(ROWS[name].parts.values()) if not part.startswith(INSIDE)]
    elif is_hub_id(name):
        repositories = [MOVED.get(name, name)]
    else:
        raise unknown("model to pull", name, [*ROWS, "a hub id such as openai/clip-vit-base-patch32"])
    if not repositories:
        raise EaselError(f"'{name}' is inside the package: there is nothing to pull")
    return [source_of(repository) for repository in repositories]


def download(source: Source, *, configs_only: bool = False) -> Path:
    """Fetch one repository into the hub cache: configurations, tokenizers and safetensors weights, nothing else.

    Where a repository has only pickles, the hub's own conversion to safetensors (a pull request there) is taken.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise EaselError(f"cannot pull {source.repository}: HF_HUB_OFFLINE is set; unset it, or give a folder or file")
    try:
        files = [
            sibling.rfilename
            for sibling in HfApi().model_info(source.repository, revision=source.revision).siblings or []
        ]
        wanted, revision = wanted_files(files, source.variant, configs_only=configs_only), source.revision
        if not configs_only and not any(file.endswith(".safetensors") for file in wanted):
            revision = _converted_revision(source)
            wanted = [
                *wanted,
                "diffusion_pytorch_model.safetensors" if DIFFUSERS_PICKLE in files else "model.safetensors",
            ]
        free = shutil.disk_usage(Path(constants.HF_HUB_CACHE).anchor or ".").free / 1e6
        if not configs_only and free < source.megabytes:
            raise EaselError(
                f"{source.repository} needs {source.megabytes} MB, {free:.0f} MB are free: set HF_HOME to another disk"
            )
        return Path(snapshot_download(source.repository, revision=revision, allow_patterns=wanted))
    except EaselError:
        raise
    except Exception as error:  # the hub client's errors have no common base besides this
        raise EaselError(
            f"cannot pull {source.repository} ({type(error).__name__}: {shortened(error, 120)}): check the network "
            "and the name; a gated model needs `hf auth login` after its terms are accepted on the hub"
        ) from error


def wanted_files(files: list[str], variant: str | None, *, configs_only: bool = False) -> list[str]:
    """Which of a repository's files a model needs: JSON and words, and one set of safetensors weights for each part."""
    texts = [file for file in files if file.endswith((".json", "vocab.txt", "merges.txt")) and file.count("/") <= 1]
    texts = [file for file in texts if not file.startswith(("onnx/", "openvino/")) and ".bin.index" not in file]
    if configs_only:
        return texts
    weights = [file for file in files if file.endswith(".safetensors") and file.count("/") <= 1]
    diffusers = "model_index.json" in files
    parts = (
        {file.rpartition("/")[0] for file in weights} - ({""} if diffusers else set()) - {"safety_checker", "vae_1_0"}
    )
    chosen: list[str] = []
    for part in sorted(parts):
        inside = [
            file
            for file in weights
            if file.rpartition("/")[0] == part and "non_ema" not in file and "openvino" not in file
        ]
        half = [file for file in inside if f".{variant}." in file] if variant else []
        chosen += half or [file for file in inside if ".fp16." not in file]
    return [*texts, *chosen]


def _converted_revision(source: Source) -> str:
    from huggingface_hub import HfApi

    api: Any = HfApi()
    for discussion in api.get_repo_discussions(
        source.repository, author="SFconvertbot", discussion_type="pull_request"
    ):
        if "safetensors" in discussion.title.lower() and discussion.status in ("open", "merged"):
            return str(discussion.git_reference)
    raise EaselError(f"{source.repository} has no safetensors weights: convert its pickle and give the folder")


def fetch(source: Source, report: Callable[[int, int], None] | None = None, file: Path | None = None) -> Path:
    """The folder with `config.json` and `model.safetensors` made of a source's single file; made if it is not there.

    Args:
        report: called with (MB done, MB in all); may raise Cancelled.
        file: a copy that is here already; nothing is downloaded then.

    Raises EaselError where there is no network, on a checksum that differs, and on weights of another network.
    """
    folder = converted_folder(source)
    if (folder / "config.json").is_file() and file is None:
        return folder
    check_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as room:
        if file is None:
            file = Path(room) / "weights"
            _download(source, file, report)
        _check(source, file)
        _convert(source, file, folder)
    return folder


def _download(source: Source, target: Path, report: Callable[[int, int], None] | None) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise EaselError(f"cannot pull {source.repository}: HF_HUB_OFFLINE is set; unset it, or give --file")
    total, done = source.megabytes, 0
    if shutil.disk_usage(target.parent).free < 2 * total * 1e6:
        raise EaselError(f"{source.repository} needs {2 * total} MB for a moment: set HF_HOME to another disk")
    try:
        with urllib.request.urlopen(source.url, timeout=PATIENCE) as stream, target.open("wb") as out:  # noqa: S310 - from the table
            while chunk := stream.read(CHUNK):
                out.write(chunk)
                done += len(chunk)
                if report is not None:
                    report(min(done // 1_000_000, total), total)
    except (OSError, http.client.HTTPException) as problem:
        raise EaselError(
            f"cannot fetch {source.url} ({shortened(problem)}): check the network, or bring the file and give --file"
        ) from problem
    if report is not None:
        report(total, total)


def _check(source: Source, file: Path) -> None:
    """Refuse, before it is opened, any file but the one that was published."""
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as problem:
        raise EaselError(f"cannot read {file}: {problem.strerror or problem}") from problem
    if found != source.sha256:
        raise EaselError(
            f"{file.name} ({file.stat().st_size:,} bytes) is not {source.url.rpartition('/')[2]}: its SHA-256 begins "
            f"{found[:8]}, wanted {source.sha256[:8]}: fetch it again"
        )


def _convert(source: Source, file: Path, folder: Path) -> None:
    """Write the safetensors, then the config whose presence says that all is there."""
    import torch
    from safetensors.torch import save

    from easel.models.catalog.checks import check_finite
    from easel.networks.inception import INCEPTION, FidInception, check_names, is_counter

    try:
        weights: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:  # torch raises whatever the damage brings about
        raise EaselError(
            f"{file.name} cannot be read as plain weights ({shortened(problem)}): fetch it again"
        ) from problem
    network = FidInception()
    check_names(weights, network, Path(file.name))
    kept = {name: tensor.float().contiguous() for name, tensor in weights.items() if not is_counter(name)}
    network.load_state_dict(kept, strict=False)
    check_finite(network, file.name)
    write_atomic(folder / "model.safetensors", save(kept, metadata={"format": "pt"}))
    config = {"model_type": INCEPTION, "url": source.url, "sha256": source.sha256, "licence": source.licence}
    write_atomic(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
