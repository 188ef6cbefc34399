"""A model's tokenizer, for sampling, training and export alike."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from harness.errors import UserError


def load_tokenizer(
    model: Path | str, *, option: str = "--model_path", download: bool = True
) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or Hub id; without `download`, only if it is on this machine.

    Raises UserError; `option` is what the person gave it by.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model), local_files_only=not download)
    except (OSError, ValueError) as error:
        raise UserError(
            f"can't load the model's tokenizer: {str(error).splitlines()[0]}",
            where=str(model),
            fix=f"{option} is a built-in name, a folder with a saved model, or a Hub id",
        ) from error
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer
