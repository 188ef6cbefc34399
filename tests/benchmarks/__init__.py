"""Measurements that anyone can repeat; figures in docs/experiments.md come from here.

- `throughput`: runs per second of a trivial solution.
- `judge_speed`: what a judged call costs.
- `sandbox_peers` (`make bench-sandbox`): our sandbox beside other ways to run the same solutions.
- `soak` (`make bench-soak`): many runs in a row; does anything grow or slow down?
"""
