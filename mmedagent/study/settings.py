"""Overrides of the recipe that a study starts from, written as `--set` takes them."""

QUICK = (
    "warm_start.triage.fit.steps=4",
    "warm_start.attending.fit.steps=4",
    "training.triage.steps=3",
    "training.attending.steps.easy=2",
    "training.attending.steps.medium=2",
    "training.attending.steps.hard=2",
    "training.attending.prompts_per_step=8",
    "evaluation.samples=1",
)
"""Steps enough to run every part once; nothing is learned from the figures."""
