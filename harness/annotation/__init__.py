"""Samples in, executions and measurements out: correctness first on all cores, then timing on the timing cores."""
