"""Problems: built-in sets, folders saved by `datasets`, JSONL files and Hub data sets, all checked the same way."""

from harness.problems.load import BUILTIN, load_problems
from harness.problems.select import select_problems
from harness.problems.starter_set import ReferenceSolution, starter_solutions

__all__ = ["BUILTIN", "ReferenceSolution", "load_problems", "select_problems", "starter_solutions"]
