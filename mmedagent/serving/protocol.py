"""What a client sends and gets: strict reading of requests, and the answer's shape.

v1: `{"instances": [{"image": <base64>, "question": "...", "options": ["...", "..."]}]}`.
v2: inputs `image`, `question` and `options`, datatype BYTES, shape [n]; each of `options` is a JSON
list of strings. One output `consultation`, BYTES [n], each the JSON of what v1 answers.
Both may say `"parameters": {"votes": N}`: a majority vote of N drawn decisions on each question.
"""

import base64
import binascii
import io
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from mmedagent.cases.case import LETTERS, Question
from mmedagent.consultation.consult import Consultation
from mmedagent.consultation.parsing import normalise
from mmedagent.errors import BadDataError
from mmedagent.recipes.serving import ServingRecipe

NOTICE = "Decision support under study: not a medical device. A clinician decides."
_FIELDS = {"image", "question", "options"}
_FORMATS = ("PNG", "JPEG")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Asked(NamedTuple):
    """What a request asks for."""

    questions: list[Question]
    votes: int
    """Decisions to draw on each question; 1 is a single consultation."""


def read_instances(body: Any, limits: ServingRecipe) -> Asked:
    """Return what a v1 request's body asks for.

    Raises `BadDataError` that names the instance, the field and what is wrong with it, or the
    parameter.
    """
    if not isinstance(body, dict) or set(body) - {"parameters"} != {"instances"}:
        raise BadDataError('the request must be {"instances": [{"image", "question", "options"}]}')
    instances = body["instances"]
    if not isinstance(instances, list) or not 1 <= len(instances) <= limits.batch:
        raise BadDataError(f"instances: a list of 1 to {limits.batch} questions is wanted")
    votes = _votes(body.get("parameters", {}), limits)
    return Asked([_question(n, instance, limits) for n, instance in enumerate(instances)], votes)


def read_tensors(
    tensors: dict[str, list[str]], limits: ServingRecipe, parameters: Any = None
) -> Asked:
    """Return what a v2 request asks for: input name -> its strings, and its parameters.

    Raises `BadDataError` as `read_instances`.
    """
    if set(tensors) != _FIELDS:
        raise BadDataError(f"the inputs must be image, question and options, not {sorted(tensors)}")
    if len({len(values) for values in tensors.values()}) != 1:
        raise BadDataError("the inputs image, question and options must have the same shape [n]")
    instances = []
    for n, text in enumerate(tensors["options"]):
        try:
            options = json.loads(text)
        except ValueError as error:
            raise BadDataError(f"instance {n}: options is no JSON list of strings") from error
        instances.append(
            {
                "image": tensors["image"][n],
                "question": tensors["question"][n],
                "options": options,
            }
        )
    body = {"instances": instances}
    return read_instances(
        body if parameters is None else {**body, "parameters": parameters}, limits
    )


def answer(question: Question, held: Consultation, version: str) -> dict[str, Any]:
    """Return what a client gets of one consultation."""

    def text(letter: str | None) -> str | None:
        return None if letter is None else question.options[LETTERS.index(letter)]

    return {
        "specialty": held.specialty,
        "role": held.role,
        "triage_reasoning": held.triage_reasoning,
        "opinions": [
            {
                "specialist": opinion.specialist,
                "role": opinion.role,
                "letter": opinion.letter,
                "answer": text(opinion.letter),
                "reasoning": opinion.reasoning,
            }
            for opinion in held.opinions
        ],
        "decision": {"letter": held.letter, "answer": text(held.letter)},
        "reasoning": held.reasoning,
        "votes": list(held.ballots),
        "agreement": held.agreement,
        "seconds": {**held.seconds, "total": sum(held.seconds.values())},
        "version": version,
        "notice": NOTICE,
    }


def most_body_bytes(limits: ServingRecipe) -> int:
    """Return how long the body of a request within the limits can be."""
    text = 4 * (limits.question_characters + len(LETTERS) * limits.option_characters)
    return limits.batch * (limits.image_bytes * 4 // 3 + text + 4096)


def _votes(parameters: Any, limits: ServingRecipe) -> int:
    if not isinstance(parameters, dict) or set(parameters) - {"votes"}:
        raise BadDataError('parameters: {"votes": N} is wanted, and nothing else')
    votes = parameters.get("votes", 1)
    if type(votes) is not int or not 1 <= votes <= limits.votes:
        raise BadDataError(f"parameters: votes: 1 to {limits.votes} are possible, got {votes!r}")
    return votes


def _question(number: int, instance: Any, limits: ServingRecipe) -> Question:
    def fail(what: str) -> BadDataError:
        return BadDataError(f"instance {number}: {what}")

    if not isinstance(instance, dict) or set(instance) != _FIELDS:
        given = sorted(instance) if isinstance(instance, dict) else type(instance).__name__
        raise fail(f"image, question and options are wanted, and nothing else; got {given}")
    question = instance["question"]
    if not _is_text(question):
        raise fail("question: a text is wanted")
    if len(question) > limits.question_characters:
        raise fail(f"question: longer than {limits.question_characters} characters")
    options = instance["options"]
    if not isinstance(options, list) or not all(map(_is_text, options)):
        raise fail("options: a list of texts is wanted")
    _check_options(options, limits, fail)
    image = _image(instance["image"], limits, fail)
    return Question(images=(image,), question=question, options=tuple(options))


def _is_text(value: Any) -> bool:
    """Half a surrogate pair, which JSON can spell, is in no text: no tokenizer could read it."""
    return isinstance(value, str) and bool(value.strip()) and not _SURROGATE.search(value)


def _check_options(options: Sequence[str], limits: ServingRecipe, fail: Any) -> None:
    if not 2 <= len(options) <= len(LETTERS):
        raise fail(f"options: 2 to {len(LETTERS)} are wanted, got {len(options)}")
    if any(len(option) > limits.option_characters for option in options):
        raise fail(f"options: one is longer than {limits.option_characters} characters")
    folded = [normalise(option) for option in options]
    repeated = sorted({o for o in options if folded.count(normalise(o)) > 1})
    if repeated:
        raise fail(f"options: repeated: {', '.join(map(repr, repeated))}")


def _image(encoded: Any, limits: ServingRecipe, fail: Any) -> bytes:
    """Decode and check an image: whole, of a known format, within the limits before decoding."""
    if not isinstance(encoded, str) or not encoded:
        raise fail("image: the base64 of a PNG or JPEG file is wanted")
    if len(encoded) > (limits.image_bytes + 2) // 3 * 4:
        raise fail(f"image: larger than {limits.image_bytes} bytes")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise fail("image: not base64") from error
    if len(data) > limits.image_bytes:
        raise fail(f"image: larger than {limits.image_bytes} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                width, height = image.size
                if width * height > limits.image_pixels:
                    raise fail(
                        f"image: {width} x {height} is more than {limits.image_pixels} pixels"
                    )
                image.load()
    except UnidentifiedImageError as error:
        raise fail("image: no whole PNG or JPEG file (unknown format)") from error
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise fail(f"image: no whole PNG or JPEG file ({error})") from error
    return data
