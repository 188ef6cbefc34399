"""Figures about models: pass@k, matched speed-up, code length, and how sure we are of each. Pure: no I/O, no clock."""
