"""Two processes, launched as the documentation says, are one run: the same model, one set of records, one end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from transformers import AutoModelForCausalLM

from harness.errors import UserError
from harness.progress import SilentReporter
from harness.store import write_rows
from tests.training.small_data import make_rows
from training.audit import audit
from training.config import TrainConfig
from training.stage import TrainSummary, train
from training.trainers import TRACKERS, arguments

pytestmark = [pytest.mark.training, pytest.mark.timeout(900)]  # much, where other work has the cores

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes" / "accelerate"
WORKER = Path(__file__).with_name("distributed_worker.py")
HANGS_SECONDS = 600  # a process that waits for one that is gone waits half an hour
# Eight problems, two a step: four steps an epoch, eight in all.
TWO: dict[str, Any] = {
    "task": "all",
    "top_p": 100,
    "epochs": 2,
    "batch_size": 1,
    "gradient_accumulation": 1,
    "learning_rate": 3e-3,
    "gradient_checkpointing": False,
    "device": "cpu",
    "precision": "fp32",
    "checkpoint_every": 2,
    "audit": True,
}
ONE = TWO | {"gradient_accumulation": 2}  # in one process, the same problems a step
STEPS = 8


class Launch:
    """Commands in two processes, in a folder of their own."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.train_rows, self.validation_rows = (
            folder / "datasets" / "two" / "starter" / split / "merged.jsonl" for split in ("train", "validation")
        )
        write_rows(self.train_rows, make_rows(8, "train"))
        write_rows(self.validation_rows, make_rows(3, "validation"))

    def start(self, recipe: str, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", RECIPES / f"{recipe}.yaml"]
        words = [*launcher, "--num_processes", "2", "--main_process_port", "0", *command]
        clean = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=ROOT,
            env=clean | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, recipe: str, *command: str | Path, **environment: str) -> tuple[int, str]:
        """Exit status, and all that was printed."""
        process = self.start(recipe, *command, **environment)
        try:
            said, _ = process.communicate(timeout=HANGS_SECONDS)
        finally:
            process.kill()
        return process.returncode, said

    def jobs(self, recipe: str, *jobs: Mapping[str, Any], **environment: str) -> tuple[int, str]:
        """Train each job: its `config`, the folder `out`, and `rows` where they are not the usual."""
        shared = {"rows": [str(self.train_rows)], "validation": str(self.validation_rows), "model": str(self.model)}
        path = self.folder / "jobs.json"
        path.write_text(json.dumps([shared | dict(job) | {"out": str(self.folder / job["out"])} for job in jobs]))
        return self.run(recipe, WORKER, "jobs", path, **environment)

    def alone(self, name: str, **settings: Any) -> TrainSummary:
        """The same run in one process, for comparison."""
        config = TrainConfig(**ONE | settings)
        rows = self.train_rows, self.validation_rows
        return train(*rows, self.model, self.folder / name, config, reporter=SilentReporter())

    def command(self) -> list[str | Path]:
        settings = self.folder / "settings.yaml"
        settings.write_text(json.dumps(TWO))
        where = ["--root", self.folder, "--save_path", "two", "--model_path", self.model]
        return ["train", *where, "--config", settings]


@pytest.fixture(scope="module")
def launch(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    return Launch(tmp_path_factory.mktemp("launch"), tiny_model)


def history(folder: Path, key: str) -> list[float]:
    return [entry[key] for entry in json.loads((folder / "log_history.json").read_text()) if key in entry]


def assert_same_run(one: Path, two: Path) -> None:
    """The same draws, each in a step once, and losses and weights that differ by the order of a sum alone."""
    assert (one / "draws.jsonl").read_text() == (two / "draws.jsonl").read_text()
    for folder in (one, two):
        record = audit(folder)
        assert (record.seen, record.unseen, record.repeated) == (16, 0, 0)
    assert steps(one) == steps(two)
    for key in ("loss", "eval_loss"):
        assert history(one, key) == pytest.approx(history(two, key), rel=1e-4), key
    assert_close(one, two)


def steps(folder: Path) -> list[tuple[int, int, str]]:
    """Which problem, in which epoch, went into which step."""
    seen = [json.loads(line) for path in folder.glob("seen-*.jsonl") for line in path.read_text().splitlines()]
    return sorted((row["step"], row["epoch"], row["task_id"]) for row in seen)


def assert_close(one: Path, two: Path, tolerance: float = 1e-4) -> None:
    first, second = (AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (one, two))
    for name, weights in first.items():
        torch.testing.assert_close(weights, second[name], rtol=0, atol=tolerance, msg=name)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


def running(pids: Path) -> list[int]:
    """The processes of a launch that are still there."""
    found = [int(path.read_text()) for path in pids.iterdir()]
    assert len(found) == 2
    return [pid for pid in found if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_killed_and_interrupted_the_same_command_ends_with_the_model_of_one_process(
    launch: Launch, tmp_path: Path
) -> None:
    out = launch.folder / "models" / "two" / "sft-100"
    status, said = launch.run("cpu", WORKER, "cli", *launch.command(), FAULT="1:5:kill", PIDS=str(tmp_path))
    assert status != 0
    assert "exitcode  : -9" in said
    assert not running(tmp_path)

    stalled = launch.folder / "stalled"
    environment = {"FAULT": "0:7:stall", "STALLED": str(stalled), "PIDS": str(tmp_path)}
    process = launch.start("cpu", WORKER, "cli", *launch.command(), **environment)
    try:
        wait_for(stalled.exists)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=HANGS_SECONDS)
    finally:
        process.kill()
    assert "goes on from step 4" in said
    assert "run the same command again to go on" in said
    assert not running(tmp_path)

    status, said = launch.run("cpu", "-m", "harness.cli.app", *launch.command())
    assert status == 0, said
    for once in ("goes on from step 6", "Trained sft-100", "train: 8 problems", f"model: {out}"):
        assert said.count(once) == 1, said
    assert {path.name for path in out.iterdir()} >= {"training.json", "manifest.json", "README.md", "draws.jsonl"}
    recorded = json.loads((out / "manifest.json").read_text())["stages"]["train"]
    assert recorded["settings"]["processes"] == recorded["facts"]["processes"] == 2
    launch.alone("sft-alone")
    assert_same_run(launch.folder / "sft-alone", out)


def test_dpo_of_two_processes_is_that_of_one(launch: Launch) -> None:
    job = {"config": TWO | {"optim": "dpo"}, "out": "dpo"}
    status, said = launch.jobs("cpu", job, job)
    assert status == 0, said
    assert re.findall(r"finished before: (\w+)", said) == ["False", "True"]
    assert launch.alone("dpo-alone", optim="dpo").steps == STEPS
    assert_same_run(launch.folder / "dpo-alone", launch.folder / "dpo")


def test_processes_with_other_data_are_refused_before_anything_is_written(launch: Launch) -> None:
    other = launch.folder / "other.jsonl"
    write_rows(other, make_rows(7, "train"))
    rows = [str(launch.train_rows), str(other)]
    status, said = launch.jobs("cpu", {"config": TWO, "out": "mixed", "rows": rows})
    assert status != 0
    assert re.search(r"processes 0 and 1 were started with different .*\(train: '\w{16}' and '\w{16}'\)", said)
    assert not (launch.folder / "mixed").exists()


def test_sharded_weights_give_the_model_of_one_process_also_after_an_error_of_one(
    launch: Launch, tmp_path: Path
) -> None:
    """FSDP2: DPO with its reference, which ends with an error and is taken up again; the best of SFT's checkpoints;
    adapters in bf16."""
    worse = TWO | {"learning_rate": 0.05}
    lora = TWO | {"optim": "dpo", "lora": {"r": 4}, "precision": "bf16", "gradient_checkpointing": True}
    dpo = {"config": TWO | {"optim": "dpo"}, "out": "sharded-dpo"}
    started = time.monotonic()
    status, said = launch.jobs("fsdp2", dpo, AS_GPU="1", FAULT="1:5:memory", PIDS=str(tmp_path))
    assert status != 0
    assert "the accelerator's memory is full" in said
    assert not running(tmp_path)
    assert time.monotonic() - started < HANGS_SECONDS
    assert not (launch.folder / "sharded-dpo" / "training.json").exists()
    others = [{"config": worse, "out": "sharded-sft"}, {"config": lora, "out": "sharded-lora"}]
    status, said = launch.jobs("fsdp2", dpo, *others, AS_GPU="1")
    assert status == 0, said

    assert json.loads((launch.folder / "sharded-dpo" / "training.json").read_text())["resumed_from"] == 4
    launch.alone("dpo-alone", optim="dpo")
    assert_same_run(launch.folder / "dpo-alone", launch.folder / "sharded-dpo")

    best = launch.alone("whole-sft", learning_rate=0.05)
    assert json.loads((launch.folder / "sharded-sft" / "training.json").read_text())["kept_step"] == best.kept_step
    assert best.kept_step < STEPS
    assert_close(launch.folder / "whole-sft", launch.folder / "sharded-sft", tolerance=5e-3)
    size, whole = ((launch.folder / name / "model.safetensors").stat().st_size for name in ("sharded-sft", "whole-sft"))
    assert size == pytest.approx(whole, rel=0.01), "tied weights are written once"

    folder = launch.folder / "sharded-lora"
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
    before, after = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (launch.model, folder))
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        name for name in before if "_proj" in name
    }
    assert history(folder, "loss")[0] == pytest.approx(0.6931, abs=5e-3)
    assert history(folder, "loss")[-1] < history(folder, "loss")[0]


def test_zero3_gives_the_model_of_one_process(launch: Launch) -> None:
    """Stage 3 with weights and optimiser offloaded, on CPUs; its first start compiles for minutes."""
    pytest.importorskip("deepspeed", reason="the extra `deepspeed` is not installed")
    sft = TWO | {"device": "auto", "gradient_checkpointing": True, "learning_rate": 1e-3}
    lora = sft | {"optim": "dpo", "lora": {"r": 4}}
    jobs = [{"config": sft, "out": "zero3-sft"}, {"config": lora, "out": "zero3-lora"}]
    status, said = launch.jobs("zero3", *jobs, AS_GPU="1")
    assert status == 0, said
    launch.alone("plain-sft", learning_rate=1e-3)
    assert_same_run(launch.folder / "plain-sft", launch.folder / "zero3-sft")
    launch.alone("plain-lora", optim="dpo", lora={"r": 4}, learning_rate=1e-3)
    assert_same_run(launch.folder / "plain-lora", launch.folder / "zero3-lora")


def test_adapters_with_checkpointed_activations_in_bf16(launch: Launch) -> None:
    summary = launch.alone(
        "lora-bf16", lora={"r": 4}, precision="bf16", gradient_checkpointing=True, learning_rate=1e-2
    )
    assert summary.first_loss is not None
    assert summary.last_loss is not None
    assert summary.last_loss < summary.first_loss - 0.1
    weights = AutoModelForCausalLM.from_pretrained(launch.folder / "lora-bf16").state_dict()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}, "bf16 is for multiplying only"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_the_recipe_as_it_is_meant(path: Path) -> None:
    read = load_config_from_file(str(path))
    kinds = {"ddp": "MULTI_GPU", "cpu": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}
    assert str(read.distributed_type).endswith(kinds[path.stem])
    assert read.mixed_precision == "no", "precision is a setting of the run"
    assert bool(read.use_cpu) is (path.stem == "cpu")


def test_zero3_is_stage_3_offloaded_with_the_settings_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration only: what a GPU does with it is not seen here."""
    pytest.importorskip("deepspeed", reason="the extra `deepspeed` is not installed")
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env
    from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig, unset_hf_deepspeed_config

    words = ["--config_file", str(RECIPES / "zero3.yaml"), "-m", "harness.cli.app", "train"]
    launcher, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    launcher.deepspeed_fields_from_accelerate_config = ""
    _, environment = prepare_deepspeed_cmd_env(launcher)
    for name, value in environment.items():
        if name.startswith("ACCELERATE_"):
            monkeypatch.setenv(name, value)
    config = TrainConfig(device="cpu", precision="bf16", gradient_accumulation=3)
    args = arguments(config, tmp_path, evaluate=False)
    read = HfTrainerDeepSpeedConfig(args.deepspeed_plugin.hf_ds_config.config)
    read.trainer_config_process(args)
    unset_hf_deepspeed_config()
    assert read.get_value("zero_optimization.stage") == 3
    assert read.get_value("zero_optimization.offload_param.device") == "cpu"
    assert read.get_value("zero_optimization.offload_optimizer.device") == "cpu"
    assert read.get_value("zero_optimization.stage3_gather_16bit_weights_on_model_save")
    assert read.get_value("gradient_accumulation_steps") == 3
    assert read.get_value("bf16.enabled")
    assert args.gradient_checkpointing


def test_sharding_that_leaves_no_model_to_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT")
    with pytest.raises(UserError, match=r"FULL_STATE_DICT, as in recipes/accelerate/fsdp2\.yaml"):
        arguments(TrainConfig(device="cpu"), tmp_path, evaluate=False)


def test_the_launcher_does_not_change_the_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    config = TrainConfig(device="cpu", precision="fp32")
    assert arguments(config, tmp_path, evaluate=False).mixed_precision == "no"


def test_a_tracker_is_checked_before_the_model_is_loaded(tmp_path: Path) -> None:
    from importlib.util import find_spec

    with pytest.raises(UserError, match="no tracker 'tensorbord'"):
        arguments(TrainConfig(device="cpu", report_to=["tensorbord"]), tmp_path, evaluate=False)
    missing = [name for name in TRACKERS if find_spec(name) is None]
    if not missing:
        pytest.skip("all trackers are installed")
    with pytest.raises(UserError, match=rf"code-optimise\[trackers\]', or pip install {missing[0]}"):
        arguments(TrainConfig(device="cpu", report_to=missing), tmp_path, evaluate=False)
    assert arguments(TrainConfig(device="cpu"), tmp_path, evaluate=False).report_to == []


def test_make_launches_several_processes() -> None:
    def said(*values: str) -> str:
        done = subprocess.run(["make", "-n", "train", *values], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    plain = ".venv/bin/code-optimise train --optim 'dpo'"
    launched = ".venv/bin/accelerate launch --config_file '{}' -m harness.cli.app train --optim 'dpo'"
    assert said("OPTIM=dpo") == plain
    assert said("OPTIM=dpo", "GPUS=2") == launched.format("recipes/accelerate/ddp.yaml").replace(
        "' -m", "' --num_processes '2' -m"
    )
    assert said("OPTIM=dpo", "ACCELERATE=recipes/accelerate/zero3.yaml") == launched.format(
        "recipes/accelerate/zero3.yaml"
    )
