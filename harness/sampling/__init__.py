"""Sampling completions from a language model. Import the modules by name: torch is loaded only where it is needed."""
