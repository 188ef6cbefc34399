"""Measurements that anyone can repeat; figures in docs/experiments.md come from here."""
