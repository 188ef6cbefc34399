"""What tells one model from another, so that results of two never mix in one folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

_SUFFIXES = frozenset({".safetensors", ".bin", ".gguf", ".json"})
_PROBES = 64  # places in a file that are read
_PROBE_BYTES = 16_384


def model_fingerprint(model: Path | str) -> str:
    """16 hex digits that change when a local model is trained or configured anew; a Hub id as it is.

    Made from probes all over its weights and configuration. The folder's place is left out, so that a run goes on after
    the folder has moved.
    """
    folder = Path(model)
    if not folder.is_dir():
        return str(model)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES:
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as stream:
                for probe in range(_PROBES):
                    stream.seek(size * probe // _PROBES)
                    digest.update(stream.read(_PROBE_BYTES))
    return digest.hexdigest()[:16]
