"""Typed recipes: what a run does."""
