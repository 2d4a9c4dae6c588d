"""Small real parts: cases with drawn images, a panel folder of tiny untrained specialists."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmedagent.atomic import write_json
from mmedagent.cases.case import POOLS, Case, Pool, Specialty
from mmedagent.panel.folder import MANIFEST, panel_manifest
from mmedagent.panel.server import ServedPanel, serve_panel
from mmedagent.recipes.model import TinyModel

NAMES = ("alder", "birch", "cedar")
TINY = TinyModel(hidden_size=32, layers=1, heads=2, intermediate_size=32, vision_hidden_size=32)


def picture(shade: int, side: int = 28) -> bytes:
    """Return a PNG with a brightness of its own."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).point(lambda v: (v + shade) % 256).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def case(number: int, pool: Pool = "train", specialty: Specialty = "Radiologist") -> Case:
    """Return one case; the even ones are about the plane, the odd ones about the region."""
    options = ("axial", "coronal") if number % 2 == 0 else ("head", "chest", "knee")
    return Case(
        case_id=f"case-{number:04d}",
        images=(picture(7 * number % 256),),
        question="Which plane is this?" if number % 2 == 0 else "Which region is this?",
        options=options,
        answer=options[number % len(options)],
        question_type="plane" if number % 2 == 0 else "region",
        modality="CT",
        specialty=specialty,
        source="drawn",
        subject=f"subject-{number}",
        pool=pool,
    )


def cases_of_all_pools(each: int) -> list[Case]:
    """Return `each` cases a pool."""
    return [case(n * each + i, pool) for n, pool in enumerate(POOLS) for i in range(each)]


@pytest.fixture(scope="session")
def panel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a panel folder of three tiny specialists with random weights."""
    from mmedagent.models.save import save_model
    from mmedagent.models.tiny import build_tiny

    folder = tmp_path_factory.mktemp("panel")
    corpus = ["<think> axial coronal head chest knee A B C </think> Radiologist: Which plane is"]
    digests = {}
    for seed, name in enumerate(NAMES):
        model, processor = build_tiny(TINY, corpus, seed)
        digests[name] = save_model(folder / name, model, processor)
    write_json(folder / MANIFEST, panel_manifest(digests))
    return folder


@pytest.fixture(scope="session")
def served(panel_folder: Path) -> Iterator[ServedPanel]:
    """Serve the tiny panel, for the whole session, in a process of its own."""
    with serve_panel(panel_folder) as served:
        yield served
