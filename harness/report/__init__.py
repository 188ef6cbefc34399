"""What an evaluation found, for people: one HTML file, Markdown, a table in the terminal, and the numbers as JSON."""

from harness.report.console import console_regressions, console_table
from harness.report.context import Example, ReportContext, pick_examples
from harness.report.growth import GrowthCurve
from harness.report.render import render

__all__ = [
    "Example", "GrowthCurve", "ReportContext", "console_regressions", "console_table", "pick_examples", "render",
]  # fmt: skip
