"""From a source's question to a `Case`: without personal data, with options, pool and specialty."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from mmedagent.cases.adding.pictures import Pictures, Stored
from mmedagent.cases.adding.pools import pool_of
from mmedagent.cases.case import Case
from mmedagent.cases.modalities import canonical, specialty_of
from mmedagent.cases.multiple_choice import Vocabulary, options_for, resolve_answer
from mmedagent.cases.privacy.refusal import RefusedForPrivacy
from mmedagent.cases.privacy.report import Place, PrivacyReport
from mmedagent.cases.privacy.text import TextScrubber
from mmedagent.cases.sources.contract import SourceCase, SourceImage
from mmedagent.errors import BadDataError
from mmedagent.recipes.sets import OWN, DataSetRecipe

UNSHOWN = "not shown: a word that the table of modalities lacks"


@dataclass
class Outcome:
    """What became of some questions."""

    cases: list[Case] = field(default_factory=list)
    unmapped: Counter[str] = field(default_factory=Counter)
    """Modality, as the source calls it -> questions set aside: no specialty is known for it."""
    refused: int = 0
    """Questions that the privacy recipe leaves out."""
    bad: list[str] = field(default_factory=list)
    """One message for each question that could not be read."""
    privacy: PrivacyReport = field(default_factory=PrivacyReport)


class Converter:
    """Converts one question after the other; one instance a process."""

    def __init__(self, recipe: DataSetRecipe, vocabulary: Vocabulary, has_validation: bool) -> None:
        self._recipe, self._vocabulary = recipe, vocabulary
        self._has_validation = has_validation
        self._scrubber = TextScrubber(recipe.privacy)
        self._pictures = Pictures(recipe)

    def convert(self, questions: Iterable[SourceCase]) -> Outcome:
        """Return what became of `questions`, in their order. Bad ones are listed, not raised."""
        outcome = Outcome()
        for question in questions:
            try:
                case = self._case(question, outcome)
            except RefusedForPrivacy:
                outcome.refused += 1
            except BadDataError as error:
                outcome.bad.append(str(error))
            else:
                outcome.cases += [case] if case else []
        return outcome

    def _case(self, question: SourceCase, outcome: Outcome) -> Case | None:
        self._check_length(question)
        modality = canonical(question.modality)
        specialty = specialty_of(modality) if modality else None
        if modality is None or specialty is None:
            outcome.unmapped[self._named(question.modality, modality)] += 1
            return None
        options, answer = self._options(question, outcome)
        try:
            return Case(
                case_id=f"{self._recipe.source.name}/{question.key}",
                images=tuple(self._image(image, outcome) for image in question.images),
                question=self._clean(question.question, "question", outcome),
                options=options,
                answer=answer,
                answer_type=question.answer_type,
                question_type=self._clean(question.question_type, "attribute", outcome),
                modality=modality,
                specialty=specialty,
                source=self._recipe.source.name,
                subject=question.subject,
                pool=pool_of(
                    question.split, question.subject, self._recipe.pools, self._has_validation
                ),
                attributes={
                    name: self._clean(value, "attribute", outcome)
                    for name, value in question.attributes.items()
                },
            )
        except ValidationError as error:
            # Not the error's own text: it holds the row's.
            fields = sorted({".".join(map(str, one["loc"])) or "case" for one in error.errors()})
            raise BadDataError(f"{question.row}: {', '.join(fields)}: no valid case") from None

    def _named(self, word: str, modality: str | None) -> str:
        """Return what may be said of a modality without a specialty.

        A public set's word is its own; a hospital's may be a patient's name, where the mapping has
        the wrong column.
        """
        if self._recipe.source.name == OWN and modality is None:
            return UNSHOWN
        return self._scrubber.scrub(word).text

    def _options(self, question: SourceCase, outcome: Outcome) -> tuple[tuple[str, ...], str]:
        """Return options and answer without personal data; equal texts stay equal."""
        raw = options_for(question, self._vocabulary, self._recipe.seed)
        answer = resolve_answer(question.answer, raw, question.row) if raw else question.answer
        answer = self._clean(answer, "answer", outcome)
        if question.answer_type == "open":
            return (), answer
        cleaned = dict.fromkeys(self._clean(option, "option", outcome) for option in raw)
        return (tuple(cleaned) if len(cleaned) > 1 else ()), answer

    def _image(self, image: SourceImage, outcome: Outcome) -> bytes:
        def count(stored: Stored) -> None:
            outcome.privacy.add("image", {"text region": stored.regions})
            if stored.dicom:
                outcome.privacy.add("dicom", stored.removed)

        try:
            return self._pictures.store(image, count)
        except RefusedForPrivacy:
            outcome.privacy.add("image", {}, refused=True)
            raise

    def _clean(self, text: str, place: Place, outcome: Outcome) -> str:
        policy = self._recipe.privacy.question_text
        if policy == "keep":
            return text
        scrubbed = self._scrubber.scrub(text)
        found = bool(scrubbed.counts)
        outcome.privacy.add(place, scrubbed.counts, refused=found and policy == "refuse")
        if found and policy == "refuse":
            raise RefusedForPrivacy(f"personal data in the {place}")
        return scrubbed.text

    def _check_length(self, question: SourceCase) -> None:
        most = self._recipe.limits.max_question_chars
        for name in ("question", "answer"):
            length = len(getattr(question, name))
            if length > most:
                raise BadDataError(
                    f"{question.row}: the {name} has {length} characters, {most} are allowed: is it"
                    " a report in the wrong column? Else raise `limits.max_question_chars`"
                )
