"""Cases, doctors and a panel of known skill: they answer by seeded chance, not by looking.

The doctors speak the real prompts and the real reply format, so that everything but a neural
network's opinion is what runs in production.
"""

import io
import json
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from mmedagent.cases.case import LETTERS, SPECIALTIES, Case, Opinion
from mmedagent.consultation.consult import FALLBACK_SPECIALTY
from mmedagent.consultation.doctor import Usage
from mmedagent.digests import digest_value
from mmedagent.evaluation.systems import Model, System

MODALITIES = {
    "CT": "Radiologist",
    "MR": "Radiologist",
    "histology": "Pathologist",
    "fundus": "Ophthalmologist",
    "dermoscopy": "Dermatologist",
}
QUESTIONS = {
    "modality": ("How was this image made?", tuple(MODALITIES)),
    "region": ("Which region of the body is shown?", ("head", "chest", "abdomen", "eye", "skin")),
    "plane": ("Which plane is this?", ("axial", "coronal", "sagittal")),
}


def picture(number: int, modality: str) -> bytes:
    """Return a small picture: a disc on a background, coloured by modality."""
    shade = 40 + 30 * list(MODALITIES).index(modality)
    image = Image.new("RGB", (84, 84), (shade, shade // 2, 90))
    spot = 10 + number % 50
    ImageDraw.Draw(image).ellipse((spot, 20, spot + 24, 50), fill=(230, 230, 255 - number % 200))
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def make_cases(images: int, pool: str = "test", seed: int = 0) -> list[Case]:
    """Return two or three questions an image; dermoscopy is rare."""
    chance = random.Random(f"{seed} {pool}")
    cases = []
    for number in range(images):
        modality = chance.choices(list(MODALITIES), weights=[6, 5, 4, 4, 1])[0]
        picture_of = picture(number + 1000 * len(pool), modality)
        for kind in chance.sample(list(QUESTIONS), chance.choice([2, 3])):
            question, options = QUESTIONS[kind]
            answer = modality if kind == "modality" else chance.choice(options)
            cases.append(
                Case(
                    case_id=f"{pool}-{number:04d}-{kind}",
                    images=(picture_of,),
                    question=question,
                    options=options,
                    answer=answer,
                    question_type=kind,
                    modality=modality,
                    specialty=MODALITIES[modality],
                    source=f"source-{number % 7}",
                    subject=f"{pool}-subject-{number // 2}",
                    pool=pool,
                )
            )
    return cases


def _chance(*key: object) -> random.Random:
    return random.Random(digest_value([str(part) for part in key]))


class KnownDoctor:
    """Answers right with a known probability; what it spends is known too."""

    def __init__(self, cases: Sequence[Case], name: str, skill: float, kind: str, soft=0.2):
        self._cases = {(case.image_digest, case.question): case for case in cases}
        self._name, self._skill, self._kind, self._soft = name, skill, kind, soft
        self.usage = Usage()

    def reply(self, prompts, sampling):
        """Return one well-formed reply a prompt, by the image and question it shows."""
        from mmedagent.digests import digest_bytes

        replies = []
        count = len(prompts)
        self.usage += Usage(count, 40 * count, 7 * count, 0.25 * count)
        for prompt in prompts:
            text = prompt.messages[0]["content"][1]["text"]
            digest = digest_bytes(prompt.images[0])
            case = next((c for (d, q), c in self._cases.items() if d == digest and q in text), None)
            draw = sampling.seed if sampling.temperature else "greedy"
            chance = _chance(self._name, case and case.case_id or text, draw)
            skill = self._skill - (self._soft if sampling.temperature else 0)
            right = case is not None and chance.random() < skill
            if self._kind == "triage":
                gold = case.specialty if case else None
                answer = gold if right else chance.choice(SPECIALTIES)
            else:
                answer = case.answer if right else chance.choice(case.options if case else "AB")
            replies.append(f"<think> {self._name} looks </think><answer> {answer} </answer>")
        return replies


class KnownPanel:
    """Three specialists of known skill, better in the right role; counts what it is asked."""

    def __init__(self, cases: Sequence[Case], skills=(0.6, 0.5, 0.45), role_loss=0.3):
        self._cases = {(case.image_digest, case.question): case for case in cases}
        self._skills, self._role_loss = skills, role_loss
        self.asked = 0
        self.usage = Usage()

    def opinions(self, questions, roles):
        """Return each specialist's opinion on each question."""
        self.asked += len(questions)
        count = 3 * len(questions)
        self.usage += Usage(count, 30 * count, 5 * count, 0.5 * count)
        return [self._of(q, role) for q, role in zip(questions, roles, strict=True)]

    def _of(self, question, role):
        case = self._cases.get((question.image_digest, question.question))
        said = []
        for name, skill in zip(("left", "middle", "right"), self._skills, strict=True):
            chance = _chance(name, case and case.case_id or "", role)
            loss = 0 if case and role == case.specialty else self._role_loss
            known = case is not None and chance.random() < skill - loss
            answer = case.answer if known else chance.choice(question.options)
            letter = LETTERS[question.options.index(answer)]
            raw = f"<think> as {role} </think><answer> {letter} </answer>"
            said.append(
                Opinion(specialist=name, role=role, letter=letter, reasoning=f"as {role}", raw=raw)
            )
        return tuple(said)


def known_system(cases, name: str, triage: float, attending: float) -> System:
    """Return a system of known skill."""
    return System(
        known_model(cases, f"{name} triage", triage, "triage"),
        known_model(cases, f"{name} attending", attending, "attending"),
    )


def known_model(cases, name: str, skill: float, kind: str) -> Model:
    """Return a doctor of known skill; `kind` is `triage` or `attending`."""
    return Model(digest_value([name, skill, kind]), lambda: KnownDoctor(cases, name, skill, kind))


def known_stages(cases) -> dict[str, Model]:
    """Return the attending after the easy and after the medium stage: what every run has."""
    return {
        "easy_only": known_model(cases, "after easy", 0.6, "attending"),
        "easy_and_medium": known_model(cases, "after medium", 0.7, "attending"),
    }


__all__ = [
    "FALLBACK_SPECIALTY",
    "KnownDoctor",
    "KnownPanel",
    "json",
    "known_model",
    "known_stages",
    "known_system",
    "make_cases",
]
