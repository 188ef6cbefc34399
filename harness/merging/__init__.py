"""Samples, executions and measurements of a run folder joined into the data set that training reads."""
