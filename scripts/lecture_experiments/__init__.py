"""Experiments with the lecture's network and variants that differ from it in one choice."""
