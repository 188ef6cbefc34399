"""The scripts around the image for GPU machines, where they need no engine: what they would run, what they refuse."""

from __future__ import annotations

import os
import runpy
import shlex
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DDP = "/opt/code-optimise/source/recipes/accelerate/ddp.yaml"
requirements = runpy.run_path(str(REPOSITORY / "scripts/gpu_requirements.py"))


class Printed:
    """The docker command of one call."""

    def __init__(self, line: str) -> None:
        self.words = shlex.split(line)

    def after(self, option: str) -> list[str]:
        return [value for word, value in zip(self.words, self.words[1:], strict=False) if word == option]

    def mounts(self) -> dict[str, bool]:
        """Path → may be written to. All are at the path that they have outside."""
        found = {}
        for words in self.after("--mount"):
            fields = [field.strip('"') for field in words.split(",")]
            source, target = (field.partition("=")[2] for field in fields[1:3])
            assert source == target
            found[source] = "readonly" not in fields
        return found

    @property
    def inside(self) -> list[str]:
        """Entry point and arguments."""
        at = self.words.index("--entrypoint")
        return [self.words[at + 1], *self.words[at + 3 :]]


@pytest.fixture
def call(tmp_path: Path):
    """Call scripts/gpu_run.sh in a folder of its own, to print the command."""

    def run(*words: str, expect: int = 0, **settings: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GPU_PRINT": "1", "GPU_DEVICES": "0"}
        done = subprocess.run(
            [str(REPOSITORY / "scripts/gpu_run.sh"), *words], cwd=tmp_path, env=environment | settings, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == expect, done.stderr
        return done.stderr if expect else done.stdout

    return run


@pytest.fixture
def printed(call):
    return lambda *words, **settings: Printed(call(*words, **settings))


def test_what_is_built_in_needs_no_network_and_sees_the_run_folder_only(printed, tmp_path) -> None:
    command = printed("train", "--optim", "sft", HF_TOKEN="secret")
    assert command.after("--network") == ["none"]
    assert command.mounts() == {str(tmp_path / "runs"): True, str(tmp_path / ".cache/code-optimise"): True}
    assert "HF_TOKEN" not in command.words
    assert command.after("--gpus") == ['"device=0"']
    assert command.inside == ["code-optimise", "train", "--optim", "sft"]
    assert command.after("--workdir") == [str(tmp_path)]


@pytest.mark.parametrize(
    ("words", "settings", "network"),
    [
        (("sample", "--model_path", "org/name"), {}, "bridge"),
        (("sample", "--model-path=org/name"), {}, "bridge"),
        (("sample", "--model_path", "org/name"), {"HF_HUB_OFFLINE": "1"}, "none"),
        (("sample", "--data_path", "mbpp"), {}, "bridge"),
        (("train", "--data_path", "mbpp"), {}, "none"),  # training goes by the data's name
        (("sample", "--model_path", "/no/such/folder"), {}, "none"),
        (("sample", "--model_path", "org/name"), {"GPU_NETWORK": "host"}, "host"),
    ],
)
def test_the_network_is_there_for_the_hub(printed, tmp_path, words, settings, network) -> None:
    command = printed(*words, HF_TOKEN="secret", **settings)
    assert command.after("--network") == [network]
    assert ("HF_TOKEN" in command.after("--env")) == (network != "none")
    assert not any("secret" in word for word in command.words)
    hub = "org/name" in " ".join(words) or words == ("sample", "--data_path", "mbpp")
    assert (str(tmp_path / ".cache/huggingface") in command.mounts()) == hub


def test_folders_are_read_only_at_their_own_place(printed, tmp_path) -> None:
    model = tmp_path / 'hub/models--x/snapshots/it is, "it"'
    model.mkdir(parents=True)
    (tmp_path / "hub/models--x/blobs").mkdir()
    base = tmp_path / "base"
    base.mkdir()
    (model / "adapter_config.json").write_text(f'{{\n  "base_model_name_or_path": "{base}",\n  "r": 8\n}}')
    (tmp_path / "data.jsonl").write_text("")
    (tmp_path / "my.yaml").write_text("")
    words = ("--model_path", str(model), "--data_path", "data.jsonl", "--config", "./my.yaml", "--root", "out")
    command = printed("train", *words, GPU="cpu")
    quoted = str(model).replace('"', '""')
    assert f'type=bind,"source={quoted}","target={quoted}",readonly' in command.after("--mount")
    assert command.after("--network") == ["none"]
    expected = [base, tmp_path / "hub/models--x", tmp_path / "data.jsonl", tmp_path / "my.yaml"]
    mounts = command.after("--mount")
    for path in expected:
        assert f'type=bind,"source={path}","target={path}",readonly' in mounts
    assert f'type=bind,"source={tmp_path / "out"}","target={tmp_path / "out"}"' in mounts
    assert len(mounts) == len(expected) + 2
    assert (tmp_path / "out").is_dir()


def test_mbpp_from_a_folder(printed, tmp_path) -> None:
    (tmp_path / "mbpp").mkdir()
    command = printed("sample", "--data_path", "mbpp", CODE_OPTIMISE_MBPP="mbpp")
    assert command.after("--network") == ["none"]
    assert command.mounts()[str(tmp_path / "mbpp")] is False
    assert f"CODE_OPTIMISE_MBPP={tmp_path / 'mbpp'}" in command.after("--env")


@pytest.mark.parametrize(
    ("settings", "launched"),
    [
        ({"GPU_DEVICES": "0,1"}, [DDP, "--num_processes", "2"]),
        ({"GPU_DEVICES": "", "GPUS": "3", "ACCELERATE": "mine.yaml"}, ["mine.yaml", "--num_processes", "3"]),
        ({"GPU": "cpu", "ACCELERATE": "mine.yaml"}, ["mine.yaml"]),
        ({"GPU_DEVICES": "", "CUDA_VISIBLE_DEVICES": "4"}, None),
        ({"GPU": "cpu"}, None),
    ],
)
def test_several_processes_go_through_accelerate(printed, tmp_path, settings, launched) -> None:
    (tmp_path / "mine.yaml").write_text("")
    command = printed("train", "--optim", "sft", **settings)
    inside = ["train", "--optim", "sft"]
    launcher = ["accelerate", "launch", "--config_file", *(launched or ()), "--module", "harness.cli.app"]
    assert command.inside == [*(launcher if launched else ["code-optimise"]), *inside]
    assert (str(tmp_path / "mine.yaml") in command.mounts()) == ("ACCELERATE" in settings)
    assert printed("sample", **settings).inside == ["code-optimise", "sample"]


def test_without_gpus_none_is_asked_for(printed) -> None:
    command = printed("train", GPU="cpu")
    assert command.after("--gpus") == []
    assert "NVIDIA_VISIBLE_DEVICES=void" in command.after("--env")


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (("annotate",), {}, "'annotate' is not run in the image"),
        (("train", "--optim=grpo"), {}, "grpo judges while it trains"),
        (("train", "--root"), {}, "--root has no value"),
        (("train", "--root", "/usr/runs"), {}, "/usr/runs would hide a folder of the container's own"),
        (("train", "--root", "/"), {}, "/ would hide"),
        (("train", "--root", "/tmp/x/.."), {}, "/tmp would hide"),
        (("train",), {"GPU": "two"}, "GPU=two is not known"),
        (("train",), {"GPUS": "some"}, "GPUS=some is not a number"),
        (("train",), {"GPU_DEVICES": '0",capabilities="all'}, "is no list of GPUs"),
    ],
)
def test_what_is_refused(call, words, settings, said) -> None:
    message = call(*words, expect=2, **settings)
    assert said in message
    assert "\n  fix: " in message


def test_make_passes_values_on_as_they_are(tmp_path) -> None:
    root = tmp_path / "it's $HOME"
    words = ["make", "train", "GPU=cpu", "GPU_PRINT=1", f"ROOT={root}".replace("$", "$$"), "OPTIM=sft"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    command = Printed(done.stdout.splitlines()[-1])
    assert command.inside == ["code-optimise", "train", "--root", str(root), "--optim", "sft"]
    assert command.mounts()[str(root)] is True


def test_an_input_of_the_build_that_is_not_there(tmp_path) -> None:
    environment = {"PATH": os.environ["PATH"], "WHEELS": "no-such-folder"}
    script = REPOSITORY / "scripts/gpu_image.sh"
    done = subprocess.run([str(script)], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "WHEELS=no-such-folder is not there" in done.stderr


def test_the_bases_torch_is_kept_or_refused() -> None:
    keep, pinned = requirements["keep"], requirements["pinned"]
    lines = ["torchvision>=1", "torch==2.13.0", "trl==1.16.0"]
    assert pinned(lines, "torch") == "2.13.0"
    assert keep("torch", "2.13.0", "2.13.0+cu126") == ["torch==2.13.0+cu126"]
    assert keep("torch", "2.13.0", None) == []
    with pytest.raises(ValueError, match=r"the base has torch 2\.12\.1\+cu126, the project needs 2\.13\.0"):
        keep("torch", "2.13.0", "2.12.1+cu126")
    with pytest.raises(ValueError, match="torch is not pinned"):
        pinned(["torch>=2"], "torch")


def test_extras_are_added_by_name(tmp_path) -> None:
    project = {"dependencies": ["torch==1"], "optional-dependencies": {"a": ["x"], "b": ["y", "z"]}}
    assert requirements["wanted"](project, ["b"]) == ["torch==1", "y", "z"]
    with pytest.raises(ValueError, match="no extra c; there are a, b"):
        requirements["wanted"](project, ["c"])
