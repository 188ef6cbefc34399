"""Rows of data sets on the Hugging Face Hub (or in any place that `datasets.load_dataset` reads)."""

from __future__ import annotations

from harness.errors import DataError, UserError
from harness.problems.checks import RawRow
from harness.problems.files import dataset_splits


def hub_splits(name: str, config: str | None = None) -> dict[str, list[RawRow]]:
    """All splits of a data set. Raises UserError with a way out where it cannot be fetched."""
    # Imported here because it takes more than a second, and most commands never need it.
    import datasets  # noqa: PLC0415

    try:
        return dataset_splits(datasets.load_dataset(name, config), name)
    except DataError:
        raise
    except Exception as error:  # network libraries, the Hub client and datasets each raise their own
        raise UserError(
            f"the data set could not be fetched from the Hub ({type(error).__name__}: {error})",
            where=name,
            fix="check the id and the connection; where there is none, save it elsewhere with datasets' save_to_disk "
            "and give that folder as --data_path",
        ) from error
