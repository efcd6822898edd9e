"""Import the model libraries with their logging turned down; what matters to a person is said by easel's own notes
and errors.
"""

from __future__ import annotations


def silence() -> None:
    """Errors only from transformers, diffusers and the hub client, and no progress bars of theirs. Call before
    importing pipelines.

    diffusers prints two warnings about image processors when a Stable Diffusion pipeline is imported, so
    transformers comes first.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    import diffusers

    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
