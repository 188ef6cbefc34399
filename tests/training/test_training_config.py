"""Settings: the published defaults, what is refused and how, and that the recipes are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from training.config import TrainConfig, count_steps, load_config
from training.selection import PairRule, WeighBy
from training.trainers import arguments

pytestmark = pytest.mark.training
RECIPES = Path(__file__).parents[2] / "recipes"


def test_the_defaults_and_the_starcoder_recipes_are_the_published_settings() -> None:
    published = {
        "epochs": 30,
        "learning_rate": 5e-7,
        "scheduler": "linear",
        "warmup": 0.1,
        "batch_size": 2,
        "gradient_accumulation": 16,
        "max_length": 2048,
        "max_prompt_length": 1024,
        "weight_decay": 0.0,
        "seed": 1,
        "beta": 0.1,
        "augment": True,
        "best_by": "eval_loss",
        "checkpoint_every": "epoch",
        "save_total_limit": 2,
        "gradient_checkpointing": True,
    }
    recipes = [load_config(RECIPES / "starcoder-1b" / f"{optim}.yaml") for optim in ("sft", "dpo")]
    for config in (TrainConfig(), *recipes):
        assert {key: getattr(config, key) for key in published} == published
    assert [config.optim for config in recipes] == ["sft", "dpo"]
    assert all(config.precision == "fp16" for config in recipes)
    assert recipes[0].top_p == 25
    assert (recipes[1].task, recipes[1].rule) == ("qvs", PairRule(confirmed=True, min_ratio=1, weigh_by=WeighBy.NONE))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*-*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recipe_loads_and_gives_trainer_arguments(path: Path, tmp_path: Path) -> None:
    config = load_config(path, {"precision": "fp32", "device": "cpu"})
    assert config.optim == path.stem
    assert arguments(config, tmp_path, evaluate=True).learning_rate == config.learning_rate


def test_overrides_win_and_none_is_no_override(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("optim: dpo\ntask: pvf\nepochs: 3\nlora: {r: 8}\n")
    config = load_config(path, {"epochs": 5, "task": None})
    assert (config.optim, config.task, config.epochs, config.name) == ("dpo", "pvf", 5, "dpo-pvf")
    assert config.lora is not None
    assert config.lora.r == 8
    assert load_config(None, {"top_p": 12.5}).name == "sft-12.5"
    assert TrainConfig().name == "sft-25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optm: sft", r"unknown setting 'optm'\n  fix: did you mean 'optim'\?"),
        ("min_ration: 1.2", "did you mean 'min_ratio'"),
        ("lora: {alfa: 8}", r"unknown setting 'lora.alfa'\n  fix: did you mean 'alpha'\?"),
        ("lora: {zzz: 8}", "known: alpha, dropout, r, target"),
        ("weigh_by: time", "setting 'weigh_by'"),
        ("lora: {r: 0}", "setting 'lora.r'"),
        ("min_ratio: -1", "setting 'min_ratio'"),
        ("epochs: many", "setting 'epochs'"),
        ("top_p: 0", "setting 'top_p'"),
        ("task: fast", "setting 'task'"),
        ("checkpoint_every: 0", "setting 'checkpoint_every'"),
        ("checkpoint_every: never", "best_by: eval_loss needs checkpoints"),
        ("- sft", "not a list of"),
        ("optim: [", "can't read the settings"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.yaml"):
        load_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("optim", "passed_on", "message"),
    [
        ("sft", {"dataloader_persistent_workers": True}, "can't be used with augment: workers"),
        ("dpo", {"precompute_ref_log_probs": True}, "can't be used with augment: reference"),
        ("sft", {"packing": True}, "can't be used: it joins rows"),
        ("dpo", {"padding_free": True}, "can't be used: it takes no collator"),
        ("sft", {"remove_unused_columns": True}, "can't be used"),
        ("sft", {"learning_rate": 1e-3}, "set by this program"),
        ("sft", {"precompute_ref_log_probs": True}, "unknown setting 'trainer.precompute_ref_log_probs'"),
        ("sft", {"adam_betta2": 0.9}, "did you mean 'adam_beta2'"),
    ],
)
def test_trainer_settings_that_would_undo_the_drawing_are_refused(
    optim: str, passed_on: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        arguments(TrainConfig(optim=optim, device="cpu", trainer=passed_on), tmp_path, evaluate=False)


def test_fp16_without_a_gpu_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        arguments(TrainConfig(device="cpu", precision="fp16"), tmp_path, evaluate=False)


def test_other_trainer_settings_are_passed_on(tmp_path: Path) -> None:
    config = TrainConfig(augment=False, device="cpu", trainer={"adam_beta2": 0.95, "packing": False})
    assert arguments(config, tmp_path, evaluate=False).adam_beta2 == 0.95


def test_settings_of_the_manifest_leave_out_what_the_weights_do_not_depend_on() -> None:
    base = TrainConfig(optim="sft")
    watched = base.model_copy(update={"logging_steps": 50, "report_to": ["tensorboard"], "task": "pvf", "beta": 0.9})
    assert watched.settings() == base.settings()
    assert base.model_copy(update={"seed": 2}).settings() != base.settings()
    assert "beta" in TrainConfig(optim="dpo").settings()


def test_the_rule_for_pairs_counts_where_it_changes_what_is_drawn() -> None:
    rule = {"confirmed": False, "min_ratio": 1.5, "weigh_by": "confidence"}
    for optim, task, counts in (
        ("dpo", "qvs", True),
        ("dpo", "all", True),
        ("dpo", "pvf", False),
        ("dpo", "qvs_released", False),
        ("sft", "qvs", False),
    ):
        plain, ruled = (TrainConfig(optim=optim, task=task, **more).settings() for more in ({}, rule))
        assert (plain != ruled) == counts
        assert rule.items() <= ruled.items() or not counts


def test_steps_of_the_published_run_on_one_and_four_devices() -> None:
    one = count_steps(TrainConfig(), problems=183)
    assert (one.per_epoch, one.total, one.warmup) == (6, 180, 18)
    four = count_steps(TrainConfig(), problems=183, processes=4)
    assert (four.per_epoch, four.total) == (2, 60)
    capped = count_steps(TrainConfig(max_steps=10, warmup=3), problems=183)
    assert (capped.total, capped.warmup, capped.epochs) == (10, 3, 2)
