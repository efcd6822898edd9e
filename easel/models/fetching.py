"""Weights that are a single pickled file outside the hub: fetched, compared with their checksum, turned into
safetensors once, and never opened again.
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
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened
from easel.files import check_folder, write_atomic
from easel.models.places import converted_folder

if TYPE_CHECKING:
    from easel.models.catalog import Source

CHUNK = 1 << 20
PATIENCE = 30.0
"""Seconds without a byte after which a download is given up."""


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

    from easel.models.guard import check_finite
    from easel.models.rows import INCEPTION, check_names, is_counter
    from easel.networks.inception import FidInception

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
