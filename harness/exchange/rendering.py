"""Texts as a model's own sampling and training have them, for trainers that know nothing of harness.prompts.

The one module of the package that loads transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from harness.errors import UserError
from harness.exchange.choosing import Rendering
from harness.prompts import training_text


def model_rendering(model: Path | str) -> Rendering:
    """The rendering for a model (a folder or Hub id): its chat template, and the answer begun for it.

    A beginning-of-text token is left out where the tokenizer puts one before any text anyway: a stock trainer would
    give the model two. Raises UserError for a model without a tokenizer.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(model))
    except (OSError, ValueError) as error:
        raise UserError(
            f"can't load the model's tokenizer: {str(error).splitlines()[0]}",
            where=str(model),
            fix="--model_path is a built-in name, a folder with a saved model, or a Hub id",
        ) from error
    opening = added_opening(tokenizer)

    def render(prompt: str, completion: str) -> tuple[str, str]:
        given, learnt = training_text(prompt, completion, tokenizer)
        return given.removeprefix(opening), learnt

    return render


def added_opening(tokenizer: Any) -> str:
    """The beginning-of-text token if the tokenizer puts one before every text, else ""."""
    ids = tokenizer("x")["input_ids"]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id else ""
