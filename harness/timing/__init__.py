"""When may we say that one solution is faster than another: identity, statistics and decisions (docs/timing)."""
