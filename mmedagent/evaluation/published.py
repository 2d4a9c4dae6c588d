"""The paper's ablation table, and which of our systems each of its rows is.

METHOD, section 'Published figures': accuracy in percent, one run, no seeds, no intervals.
"""

from dataclasses import dataclass

SETS = ("VQA-RAD", "SLAKE", "OmniMedVQA", "MMMU-Med")


@dataclass(frozen=True)
class PublishedRow:
    """One row of the paper's table."""

    title: str
    system: str
    """Its name in an evaluation; in the study `challenger` is called `full`."""
    percent: tuple[float, float, float, float]
    """Accuracy on each of `SETS`."""


ABLATION = (
    PublishedRow("full", "challenger", (71.5, 76.2, 73.3, 71.9)),
    PublishedRow("without triage", "random_specialty", (66.3, 69.9, 66.2, 59.3)),
    PublishedRow("without specialists", "without_specialists", (65.8, 67.8, 64.4, 54.2)),
    PublishedRow("without C-MARL", "without_c_marl", (63.5, 65.5, 57.9, 50.2)),
    PublishedRow("easy only", "easy_only", (64.7, 69.3, 68.2, 58.0)),
    PublishedRow("easy + medium", "easy_and_medium", (69.4, 76.9, 70.8, 68.8)),
)
