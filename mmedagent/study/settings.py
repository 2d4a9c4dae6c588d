"""Overrides of the recipe that a study starts from, written as `--set` takes them."""

QUICK = ("training.attending.prompts_per_step=8", "evaluation.samples=1")
"""Of a quick study, beside the few steps that its cells take: nothing is learned from it."""
