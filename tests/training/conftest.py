"""A small real model (two Llama layers, random weights) with the real SmolLM2 tokeniser, and data to train it on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from harness.store import write_rows
from tests.tiny_llama import save_tiny_llama, smollm2_tokenizer
from tests.training.small_data import make_rows

torch.set_num_threads(1)

@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return smollm2_tokenizer()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_llama(folder, tokenizer, width=64, layers=2, heads=4)
    return folder


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    write_rows(path, make_rows(6, "train"))
    return path


@pytest.fixture
def validation_file(tmp_path: Path) -> Path:
    path = tmp_path / "validation.jsonl"
    write_rows(path, make_rows(3, "validation"))
    return path
