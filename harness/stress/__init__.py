"""Stress inputs: larger inputs of the kind that a problem's test uses, on which algorithms show (docs/adr/0013)."""
