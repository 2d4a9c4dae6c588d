"""A tiny doctor and a few drawn cases, built once for all rooms' tests."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from mmedagent.cases.case import Case, Pool

_KINDS = {
    "histology": ("Pathologist", "pink"),
    "CT": ("Radiologist", "gray"),
    "fundus": ("Ophthalmologist", "orange"),
    "dermoscopy": ("Dermatologist", "tan"),
}
_SHAPES = ("circle", "square", "cross")
DrawCases = Callable[..., list[Case]]


def _draw(background: str, shape: str, draw: random.Random) -> bytes:
    image = Image.new("RGB", (84, 84), background)
    pen = ImageDraw.Draw(image)
    x, y, size = draw.randint(10, 40), draw.randint(10, 40), draw.randint(20, 35)
    box = (x, y, x + size, y + size)
    colour = (draw.randint(0, 120), draw.randint(0, 120), draw.randint(0, 120))
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.line(box, fill=colour, width=6)
        pen.line((x + size, y, x, y + size), fill=colour, width=6)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _cases(count: int, pool: Pool, seed: int = 0) -> list[Case]:
    draw = random.Random(f"{pool}-{seed}")
    cases = []
    for number in range(count):
        modality = draw.choice(sorted(_KINDS))
        specialty, background = _KINDS[modality]
        shape = draw.choice(_SHAPES)
        about_shape = draw.random() < 0.5
        cases.append(
            Case(
                case_id=f"{pool}-{seed}-{number}",
                images=(_draw(background, shape, draw),),
                question="Which shape is shown?" if about_shape else "Which modality is shown?",
                options=_SHAPES if about_shape else tuple(_KINDS),
                answer=shape if about_shape else modality,
                question_type="region" if about_shape else "modality",
                modality=modality,
                specialty=specialty,
                source="drawn",
                subject=f"{pool}-{seed}-{number}",
                pool=pool,
            )
        )
    return cases


@pytest.fixture(scope="session")
def draw_cases() -> DrawCases:
    """`draw_cases(count, pool, seed)`: drawn shapes on the background of a modality."""
    return _cases


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, draw_cases: DrawCases) -> Path:
    """A randomly initialised tiny model on disk, that knows the words of the drawn cases."""
    import torch

    from mmedagent.models.corpus import corpus
    from mmedagent.models.save import save_model
    from mmedagent.models.tiny import build_tiny
    from mmedagent.recipes.model import TinyModel

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny") / "base"
    model, processor = build_tiny(TinyModel(), corpus(draw_cases(60, "train"), "compact"), seed=0)
    save_model(folder, model, processor)
    return folder


@pytest.fixture(scope="session")
def tiny_start(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, draw_cases: DrawCases
) -> Path:
    """A triage Start on disk: the tiny base after a few supervised steps."""
    from mmedagent.consultation.doctor import Prompt
    from mmedagent.consultation.prompts import triage_messages
    from mmedagent.models.load import load_model, load_processor
    from mmedagent.models.save import save_model
    from mmedagent.recipes.training import SupervisedRecipe
    from mmedagent.training.completions import triage_completion
    from mmedagent.training.supervised import Example, fit

    folder = tmp_path_factory.mktemp("tiny") / "start"
    model, processor = load_model(tiny_base), load_processor(tiny_base)
    examples = [
        Example(
            Prompt(triage_messages(case.view(), "compact"), case.images), triage_completion(case)
        )
        for case in draw_cases(40, "warm_start")
    ]
    fit(model, processor, examples, SupervisedRecipe(steps=30, batch_size=16), seed=0)
    save_model(folder, model, processor)
    return folder
