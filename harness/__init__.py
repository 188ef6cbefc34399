"""Code-Optimise: sample solutions, run them in the sandbox, time them honestly, build training data, evaluate."""
