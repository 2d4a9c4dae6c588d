"""The reviewed table gives each modality, however it is spelled, its one specialty."""

from pathlib import Path

import pytest

from mmedagent.cases.case import SPECIALTIES
from mmedagent.cases.modalities import canonical, specialty_of, table
from mmedagent.recipes.data import ValidationRecipe


@pytest.mark.parametrize(
    ("word", "modality", "specialty"),
    [
        ("CT(Computed Tomography)", "CT", "Radiologist"),
        ("MR (Mag-netic Resonance Imaging)", "MRI", "Radiologist"),
        ("MR", "MRI", "Radiologist"),
        ("X-Ray", "X-ray", "Radiologist"),
        ("x_ray", "X-ray", "Radiologist"),
        ("DX", "X-ray", "Radiologist"),
        ("Body Scans: MRI, CT scans, and X-rays", "radiology", "Radiologist"),
        ("Pathological Images", "pathology", "Pathologist"),
        ("Microscopy Images", "microscopy", "Pathologist"),
        ("SM", "histology", "Pathologist"),
        ("OCT (Optical Coherence Tomography", "OCT", "Ophthalmologist"),
        ("Fundus Photography", "fundus", "Ophthalmologist"),
        ("Dermoscopy", "dermoscopy", "Dermatologist"),
        ("ES", "endoscopy", "Surgeon"),
        ("Colposcopy", "colposcopy", "Surgeon"),
        ("PT", "PET", "Oncologist"),
        ("thyroid scan", "thyroid scintigraphy", "Endocrinologist"),
        ("Digital Photography", "photograph", None),
        ("Medical Images", "medical image", None),
        ("Plots and Charts", "chart", None),
        ("no such word", None, None),
        ("", None, None),
        ("---", None, None),
    ],
)
def test_spellings(word: str, modality: str | None, specialty: str | None) -> None:
    assert canonical(word) == modality
    assert specialty_of(word) == specialty


def test_the_starter_sets_modalities_map_as_they_always_did() -> None:
    expected = dict.fromkeys(("CT", "MRI", "X-ray", "ultrasound"), "Radiologist")
    expected |= {"histology": "Pathologist", "fundus": "Ophthalmologist"}
    expected |= {"dermoscopy": "Dermatologist"}
    assert {word: specialty_of(word) for word in expected} == expected
    assert all(canonical(word) == word for word in expected)
    assert set(expected) <= set(ValidationRecipe().modalities)


def test_every_specialty_has_a_modality_and_every_row_a_reason() -> None:
    assert {row.specialty for row in table()} == {*SPECIALTIES, None}
    for row in table():
        assert row.why.endswith(".") and len(row.why) > 20
        assert canonical(row.modality) == row.modality


def test_the_documentation_has_the_whole_table() -> None:
    text = (Path(__file__).parents[3] / "docs/benchmarks-data.md").read_text("utf-8")
    for row in table():
        cells = [row.modality, row.specialty or "none", ", ".join(row.aliases), row.why]
        assert f"| {' | '.join(cells)} |" in text
