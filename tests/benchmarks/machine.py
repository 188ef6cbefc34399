"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import docker


def host_facts() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_at_end": os.getloadavg()[0],
    }


def machine_facts(client: docker.DockerClient) -> dict[str, Any]:
    """The host, and the engine on it."""
    engine = {"engine": client.version().get("Version", ""), "cgroup": client.info().get("CgroupVersion", "")}
    return host_facts() | engine


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
