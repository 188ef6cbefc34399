"""Training data made elsewhere comes in, and ours goes out in the shapes that others read (docs/results.md)."""
