"""Where a data set comes from: what the manifests and summaries of its run folders say, in a reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.exchange.importing import is_imported
from harness.records import TimingMethod
from harness.store import Manifest, read_json

_METHODS = {
    TimingMethod.BLOCKS: "rounds of interleaved blocks on one core; 99% intervals, decided pairs seen again later",
    TimingMethod.LEGACY: "the published method: mean of five passes that time compilation, too; no intervals, and any "
    "difference orders a pair",
}
_DRAWN_WITH = ("n_seq", "temperature", "max_new_tokens", "seed")
_NOT_JUDGED = "imported: somebody else's verdicts; nothing was run by this program"
_NOT_TIMED = "imported: somebody else's times; they order the solutions and are no evidence"


def provenance(samples: Path, datasets: Path) -> dict[str, str]:
    """Of one split: who wrote the solutions and how, who judged and timed them, what was undecided."""
    if is_imported(datasets):
        settings = Manifest(datasets).stage("import").get("settings", {})
        model = str(settings.get("model", "not recorded"))
        return {"solutions by": model, "judged by": _NOT_JUDGED, "timed by": _NOT_TIMED, "undecided": "not known"}
    manifest = Manifest(samples)
    annotated = manifest.stage("annotate")
    settings, facts = annotated.get("settings", {}), annotated.get("facts", {})
    imported = "imported" in settings
    judged = f"sandbox image {facts.get('image', 'not recorded')} (base {facts.get('base', 'not recorded')})"
    method = TimingMethod(settings.get("method", TimingMethod.BLOCKS))
    told = {
        **_written_by(read_json(manifest.path).get("stages", {}) if manifest.path.exists() else {}),
        "judged by": _NOT_JUDGED if imported else judged,
        "timed by": _NOT_TIMED if imported else _METHODS[method],
        "undecided": _undecided(datasets),
    }
    if warnings := facts.get("warnings"):
        told["warnings about the machine"] = "; ".join(
            f"{warning['name']}: {warning['found']}" if isinstance(warning, Mapping) else str(warning)
            for warning in warnings
        )
    return told


def _written_by(stages: Mapping[str, Any]) -> dict[str, str]:
    """The model and how it was drawn from; of a local model its folder's name only."""
    for stage_name, stage in stages.items():
        settings, facts = stage.get("settings", {}), stage.get("facts", {})
        if stage_name == "sample":
            return {"solutions by": f"{settings.get('model', 'not recorded')} (imported)"}
        if stage_name.startswith("sample:"):
            model = str(facts.get("model_path", stage_name.partition(":")[2]))
            local = Path(model).expanduser().is_dir() or model.count("/") != 1
            how = ", ".join(f"{name} {settings[name]}" for name in _DRAWN_WITH if name in settings)
            return {"solutions by": Path(model).name if local else model, "drawn with": how}
    return {"solutions by": "not recorded"}


def _undecided(datasets: Path) -> str:
    path = datasets / "summary.json"
    if not path.exists():
        return "not known"
    summary = read_json(path)
    share, compared = summary.get("undecided_share"), sum(summary.get("comparisons", {}).values())
    if share is None:
        return "nothing was compared"
    return f"{share:.1%} of {compared:,} compared pairs of passing solutions"
