"""The questions of the starter set: one wording and one fixed order of options per question type.

Only `modality` and `region` ask by name, and both are asked of every specialty. The others share
one neutral wording, because the triage doctor reads the question and must not learn the specialty
from it ("stain" would give the pathologist away).
"""

from collections.abc import Callable, Mapping, Sequence

from mmedagent.cases.case import Case
from mmedagent.cases.starter.pictures import Picture, png

Progress = Callable[[int, int], None]
"""Called with the pictures done and the pictures in all."""
_NEUTRAL = "Which option describes this image best?"
MODALITIES = ("CT", "MRI", "X-ray", "ultrasound", "histology", "fundus", "dermoscopy")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "modality": MODALITIES,
    "region": ("head", "chest", "abdomen", "breast", "limb", "eye", "skin", "muscle"),
    "plane": ("axial", "coronal", "sagittal"),
    "window": ("lung", "soft tissue", "bone"),
    "level": ("upper", "middle", "lower"),
    "side": ("left", "right"),
    "stain": ("H&E", "IHC", "SDH", "ATPase"),
    "landmark": ("optic disc", "macula", "vessels"),
    "pair": ("alike", "different"),
}
"""Question type -> the options, always in this order."""
WORDING: Mapping[str, str] = {
    "modality": "Which imaging modality is this?",
    "region": "Which part of the body is shown?",
}


def cases_of(
    pictures: Sequence[Picture],
    size: int,
    most: Mapping[str, int],
    progress: Progress | None = None,
) -> list[Case]:
    """Put the questions to the pictures, at most `most[pool]` each.

    A picture that could answer more is asked its modality, and the others in turn, so that each
    question type gets its share.
    """
    cases = []
    for number, picture in enumerate(pictures):
        data = png(picture.draw(), size)
        for kind, answer in _chosen(picture, number, most[picture.pool]):
            cases.append(
                Case(
                    case_id=f"{picture.source}/{picture.name}/{kind}",
                    images=(data,),
                    question=WORDING.get(kind, _NEUTRAL),
                    options=OPTIONS[kind],
                    answer=answer,
                    question_type=kind,
                    modality=picture.modality,
                    specialty=picture.specialty,
                    source=picture.source,
                    subject=picture.subject,
                    pool=picture.pool,
                )
            )
        if progress is not None:
            progress(number + 1, len(pictures))
    return cases


def _chosen(picture: Picture, number: int, most: int) -> list[tuple[str, str]]:
    facts = [(kind, picture.facts[kind]) for kind in OPTIONS if kind in picture.facts]
    turn = number % len(facts) if facts else 0
    turned = facts[turn:] + facts[:turn]
    return [("modality", picture.modality), *turned][:most]
