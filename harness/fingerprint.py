"""What tells one model from another, and one host from another, so that results of two never mix."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
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


@cache
def host_fingerprint() -> str:
    """16 hex digits that tell this machine from others: its names, its processor and how many of them it has.

    Nobody can read a name out of it. A container with a name of its own counts as a machine of its own.
    """
    parts = (platform.node(), _read("/etc/machine-id"), processor_name(), str(os.cpu_count()))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def processor_name() -> str:
    """As the system gives it; the architecture where it gives none."""
    names = (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line)
    return next(names, platform.machine())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
