"""Models compared on held-out problems: what is counted, and what may be said about it."""
