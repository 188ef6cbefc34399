"""Texts as a model's own sampling and training have them, for trainers that know nothing of harness.prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.exchange.choosing import Rendering
from harness.prompts import opening_token, training_text
from harness.tokenizer import load_tokenizer


def model_rendering(model: Path | str) -> Rendering:
    """The rendering for a model (a folder or Hub id): its chat template, and the answer begun for it.

    A beginning-of-text token is left out where the tokenizer puts one before any text anyway: a stock trainer would
    give the model two. Raises UserError for a model without a tokenizer.
    """
    tokenizer: Any = load_tokenizer(model)
    opening = opening_token(tokenizer)

    def render(prompt: str, completion: str) -> tuple[str, str]:
        given, learnt = training_text(prompt, completion, tokenizer)
        return given.removeprefix(opening), learnt

    return render
