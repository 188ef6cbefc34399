"""Builds the sandbox image: a pinned Python base, our guest code, and nothing else.

The image is known by a hash of everything that goes into it, so it is rebuilt exactly when something changed, and it is
never pulled at run time. Base: the official Python image, pinned by digest; where no registry can be reached, a base of
the same Python version made here from Debian's packages. A base that is already there is used without asking anyone.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.images import Image

from sandbox.engine import apt_install, connect, engine_url, privilege
from sandbox.errors import ImageError, SandboxError

NAME = "code-optimise-sandbox"
BASE_NAME = "code-optimise-base"
BASE_LABEL = "code-optimise.base"
HASH_LABEL = "code-optimise.content"

# Python 3.11, so that both bases speak the same language and a verdict does not depend on which one was at hand.
OFFICIAL_BASE = (
    "python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
DEBIAN_BASE = "debian"  # the name under which --base takes the base made here
SUITE = "bookworm"
# "extract" unpacks Python and the libraries it needs, and installs nothing: no shell, no package manager at work.
BOOTSTRAP = ("mmdebstrap", "--quiet", "--variant=extract", "--include=python3", SUITE)
# Left out of that base. Licence texts (copyright files) stay.
LEFT_OUT = (
    "dev", "sbin", "tmp", "var", "bin/tar", "etc/apt", "etc/dpkg", "etc/hostname", "etc/resolv.conf", "etc/logrotate.d",
    "etc/cron.daily", "usr/sbin", "usr/share", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/aarch64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/aarch64-linux-gnu/perl-base", "usr/lib/python3.11/test",
    "usr/lib/python3.11/pydoc_data", "usr/lib/python3.11/idlelib", "usr/lib/python3.11/lib2to3",
)  # fmt: skip
SILENCE_SECONDS = 30  # a registry that says nothing for so long is not reached

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The image to run: `id` is its content digest (sha256:…), which containers are created from."""

    id: str
    tag: str
    base: str
    built: bool  # made by this call, or found


# --- what goes in -----------------------------------------------------------------------------------------------


def source_folder() -> Path:
    """The checkout that holds Dockerfile.sandbox."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / "Dockerfile.sandbox").exists():
        raise ImageError(
            "Dockerfile.sandbox is not there", where=str(folder), fix="run from a checkout (pip install -e .)"
        )
    return folder


def context_files(folder: Path) -> dict[str, bytes]:
    """Path in the build context → content. Only these files are sent to the engine."""
    guest = folder / "sandbox" / "guest"
    files = {f"guest/{path.relative_to(guest)}": path.read_bytes() for path in sorted(guest.rglob("*.py"))}
    return {
        "Dockerfile": (folder / "Dockerfile.sandbox").read_bytes(),
        "image_finish.py": (folder / "sandbox" / "image_finish.py").read_bytes(),
        **files,
    }


def content_hash(parts: Iterable[tuple[str, bytes]]) -> str:
    """16 hex digits over names and contents, lengths included, so that no two sets of files share one."""
    digest = hashlib.sha256()
    for name, content in parts:
        for piece in (name.encode(), content):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()[:16]


def image_tag(files: dict[str, bytes], base: str) -> str:
    return f"{NAME}:{content_hash([*sorted(files.items()), ('base', base.encode())])}"


def debian_base_tag() -> str:
    """The name of the base made here; changes with its recipe."""
    recipe = [("bootstrap", "\0".join(BOOTSTRAP).encode()), ("left out", "\0".join(LEFT_OUT).encode())]
    return f"{BASE_NAME}:{SUITE}-{content_hash(recipe)}"


def context_tar(files: dict[str, bytes]) -> bytes:
    """The build context; no times or owners, so that the engine's cache sees the same files as the same."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o444
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def keep_member(name: str) -> bool:
    """Whether a file of the bootstrapped system goes into the base."""
    path = name.removeprefix("./")
    if path.endswith("/copyright"):
        return True
    return not any(path == left or path.startswith(left + "/") for left in LEFT_OUT)


# --- bases ------------------------------------------------------------------------------------------------------


def _find(client: docker.DockerClient, name: str) -> Image | None:
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        return None


def choose_base(client: docker.DockerClient, base: str | None, say: Say) -> str:
    """The base to build on, made present in the engine. Raises ImageError."""
    local = debian_base_tag()
    if base == DEBIAN_BASE:
        return local if _find(client, local) else make_debian_base(client, say)
    if base is not None:
        if not _find(client, base):
            problem = _pull(client, base, say)
            if problem:
                raise ImageError(f"can't be pulled: {problem}", where=base, fix="check the name, or leave --base out")
        return base
    for known in (OFFICIAL_BASE, local):
        if _find(client, known):
            return known
    problem = _pull(client, OFFICIAL_BASE, say)
    if not problem:
        return OFFICIAL_BASE
    say(f"no registry ({problem}); making a base from Debian's packages instead")
    return make_debian_base(client, say)


def _pull(client: docker.DockerClient, name: str, say: Say) -> str:
    """Fetch an image. What went wrong, or "" where it is there."""
    say(f"fetching {name.partition('@')[0]}")
    patient = docker.APIClient(base_url=engine_url(client), version=client.api.api_version, timeout=SILENCE_SECONDS)
    try:
        for event in patient.pull(name, stream=True, decode=True):
            if "error" in event:
                return str(event["error"]).splitlines()[0]
    except docker.errors.APIError as error:
        return str(error.explanation or error).splitlines()[0][:200]
    except Exception as error:  # requests' and sockets' errors, where the engine stays silent
        return str(error).splitlines()[0][:200] or type(error).__name__
    finally:
        patient.close()
    return "" if _find(client, name) else "the engine does not have it after pulling"


def make_debian_base(client: docker.DockerClient, say: Say) -> str:
    """Bootstrap a small Debian system with Python and import it. Raises ImageError. About 5 s and 35 MB."""
    _need_mmdebstrap(say)
    tag = debian_base_tag()
    say(f"making {tag} from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="code-optimise-base-") as folder:
        whole, small = Path(folder) / "whole.tar", Path(folder) / "small.tar"
        done = subprocess.run(  # noqa: S603  # fixed words and our own path
            [*BOOTSTRAP, str(whole)], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ImageError(
                f"mmdebstrap failed: {done.stderr.strip()[-500:]}",
                fix="Debian's package archive must be reachable; or give --base an image that is there",
            )
        with tarfile.open(whole) as source, tarfile.open(small, "w") as target:
            for member in source:
                if keep_member(member.name):
                    target.addfile(member, source.extractfile(member) if member.isreg() else None)
            for name in ("tmp", "dev"):
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                target.addfile(info)
        repository, _, version = tag.partition(":")
        client.api.import_image_from_file(str(small), repository=repository, tag=version)
    if not _find(client, tag):
        raise ImageError("the engine did not take the base that was made", where=tag)
    return tag


def _need_mmdebstrap(say: Say) -> None:
    if shutil.which("mmdebstrap"):
        return
    root = privilege() if shutil.which("apt-get") else None
    if root is None:
        raise ImageError(
            "no registry can be reached, and a base of our own takes mmdebstrap (Debian or Ubuntu, root or sudo)",
            fix=f"give the engine access to a registry, or load the image: docker pull {OFFICIAL_BASE}",
        )
    apt_install(root, ("mmdebstrap", "debian-archive-keyring"), say)


# --- the image --------------------------------------------------------------------------------------------------


def find_image(client: docker.DockerClient, *, base: str | None = None) -> ImageInfo | None:
    """The image for the present sources, if it was built before. Never builds and never pulls."""
    files = context_files(source_folder())
    for known in [base] if base and base != DEBIAN_BASE else [OFFICIAL_BASE, debian_base_tag()]:
        if base == DEBIAN_BASE and known == OFFICIAL_BASE:
            continue
        tag = image_tag(files, known)
        found = _find(client, tag)
        if found is not None:
            return ImageInfo(str(found.id), tag, known, built=False)
    return None


def ensure_image(client: docker.DockerClient, *, base: str | None = None, say: Say = lambda _: None) -> ImageInfo:
    """The sandbox image for the present sources, built if it is not there. Raises ImageError.

    base: an image name, or "debian" for the base made here; by default the official one, or where no registry can be
    reached the one made here.
    """
    found = find_image(client, base=base)
    if found:
        return found
    chosen = choose_base(client, base, say)
    files = context_files(source_folder())
    tag = image_tag(files, chosen)
    say(f"building {tag} on {chosen.partition('@')[0]}")
    events = client.api.build(
        fileobj=io.BytesIO(context_tar(files)),
        custom_context=True,
        tag=tag,
        buildargs={"BASE": chosen},
        labels={BASE_LABEL: chosen, HASH_LABEL: tag.partition(":")[2]},
        network_mode="none",
        rm=True,
        forcerm=True,
        decode=True,
    )
    _follow(events)
    image = _find(client, tag)
    if image is None:
        raise ImageError("the engine built no image, and gave no error", where=tag)
    return ImageInfo(str(image.id), tag, chosen, built=True)


def _follow(events: Iterator[Any]) -> None:
    """Read a build to its end. Raises ImageError with the last lines it printed."""
    lines: list[str] = []
    for event in events:
        lines += str(event.get("stream", "")).splitlines()
        if "error" in event:
            tail = "\n".join(line for line in lines[-8:] if line.strip())
            raise ImageError(f"the build failed: {event['error']}\n{tail}", where="Dockerfile.sandbox")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox image", description="Build the sandbox image.")
    parser.add_argument("action", choices=["build"])
    parser.add_argument("--base", help=f'an image, or "{DEBIAN_BASE}" for a base made from Debian\'s packages')
    options = parser.parse_args(arguments)
    say: Say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    try:
        info = ensure_image(connect(timeout=600), base=options.base, say=say)
    except SandboxError as error:
        say(f"error: {error}")
        return 2
    say(f"sandbox image {info.tag} ({'built' if info.built else 'up to date'}; base {info.base.partition('@')[0]})")
    return 0

