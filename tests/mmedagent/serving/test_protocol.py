import base64
import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmedagent.cases.case import Opinion, Question
from mmedagent.consultation.consult import Consultation
from mmedagent.errors import BadDataError
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.serving.protocol import NOTICE, answer, read_instances, read_tensors

LIMITS = ServingRecipe(image_bytes=100_000, image_pixels=10_000, batch=3, votes=4)


def encoded(kind: str = "PNG", side: int = 20, mode: str = "RGB") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def instance(**changes: Any) -> dict[str, Any]:
    good = {"image": encoded(), "question": "Which modality?", "options": ["CT", "MR"]}
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def read(*instances: dict[str, Any]) -> list[Question]:
    return read_instances({"instances": list(instances)}, LIMITS).questions


def bomb() -> str:
    """Return a PNG of 900 bytes that says it has 30 000 x 30 000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def test_a_good_question_is_read() -> None:
    for image in (encoded(), encoded("JPEG"), encoded(mode="L")):
        (question,) = read(instance(image=image))
        assert question.options == ("CT", "MR")
        assert question.images[0] == base64.b64decode(image)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": "@@@"}, "image: not base64"),
        ({"image": ""}, "image: the base64 of a PNG or JPEG"),
        ({"image": None}, "image: the base64 of a PNG or JPEG"),
        ({"image": base64.b64encode(b"plain text").decode()}, "image: no whole PNG or JPEG"),
        ({"image": encoded("GIF")}, "image: no whole PNG or JPEG"),
        ({"image": encoded()[: len(encoded()) // 8 * 4]}, "image: no whole PNG or JPEG"),
        ({"image": base64.b64encode(bytes(100_001)).decode()}, "image: larger than 100000 bytes"),
        ({"image": encoded(side=101)}, "image: 101 x 101 is more than 10000 pixels"),
        ({"image": bomb()}, "image: "),
        ({"question": " "}, "question: a text is wanted"),
        ({"question": "which \ud800?"}, "question: a text is wanted"),
        ({"options": ["CT", "MR\udfff"]}, "options: a list of texts is wanted"),
        ({"question": 7}, "question: a text is wanted"),
        ({"question": "x" * 2001}, "question: longer than 2000"),
        ({"question": ...}, "image, question and options are wanted"),
        ({"options": []}, "options: 2 to 26 are wanted, got 0"),
        ({"options": ["CT"]}, "options: 2 to 26 are wanted, got 1"),
        ({"options": [str(n) for n in range(27)]}, "options: 2 to 26 are wanted, got 27"),
        ({"options": ...}, "image, question and options are wanted"),
        ({"options": "CT"}, "options: a list of texts is wanted"),
        ({"options": ["CT", ""]}, "options: a list of texts is wanted"),
        ({"options": ["CT", None]}, "options: a list of texts is wanted"),
        ({"options": ["CT", "ct "]}, "options: repeated: 'CT', 'ct '"),
        ({"options": ["CT", "x" * 501]}, "options: one is longer than 500"),
        ({"answer": "CT"}, "and nothing else"),
    ],
)
def test_a_bad_question_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadDataError) as refused:
        read(instance(), instance(**changes))
    assert str(refused.value).startswith("instance 1: ") and reason in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"instances": []}, {"instances": {}}, {"instances": [{}], "more": 1}]
    + [{"instances": [instance()] * 4}, {"instances": ["text"]}],
)
def test_a_body_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(BadDataError):
        read_instances(body, LIMITS)


def test_one_consultation_is_the_default_and_votes_are_counted() -> None:
    body = {"instances": [instance()]}
    assert read_instances(body, LIMITS).votes == 1
    assert read_instances({**body, "parameters": {}}, LIMITS).votes == 1
    for votes in (1, 4):
        assert read_instances({**body, "parameters": {"votes": votes}}, LIMITS).votes == votes


@pytest.mark.parametrize(
    "parameters",
    [None, [], "4", {"vote": 2}, {"votes": 2, "seed": 1}]
    + [{"votes": votes} for votes in (0, -1, 5, 10**9, 2.0, "2", True, None, [2])],
)
def test_other_numbers_of_votes_are_refused(parameters: Any) -> None:
    with pytest.raises(BadDataError, match="parameters: "):
        read_instances({"instances": [instance()], "parameters": parameters}, LIMITS)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["image", "question", "options"]), json_values, min_size=1, max_size=3
    )
)
def test_nothing_but_bad_data_errors_come_of_nonsense(value: dict[str, Any]) -> None:
    with pytest.raises(BadDataError):
        read_instances({"instances": [value]}, LIMITS)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_image_check(data: bytes) -> None:
    with pytest.raises(BadDataError):
        read(instance(image=base64.b64encode(b"\x89PNG\r\n\x1a\n" + data).decode()))


def test_tensors_are_read_as_instances_are() -> None:
    tensors = {
        "image": [encoded(), encoded()],
        "question": ["one?", "two?"],
        "options": [json.dumps(["CT", "MR"]), json.dumps(["a", "b", "c"])],
    }
    (one, two), votes = read_tensors(tensors, LIMITS)
    assert votes == 1
    assert read_tensors(tensors, LIMITS, {"votes": 3}).votes == 3
    assert (one.question, two.options) == ("one?", ("a", "b", "c"))
    for damage, reason in (
        ({"options": ["CT, MR", "x"]}, "instance 0: options is no JSON"),
        ({"question": ["one?"]}, "the same shape"),
    ):
        with pytest.raises(BadDataError, match=reason):
            read_tensors({**tensors, **damage}, LIMITS)
    with pytest.raises(BadDataError, match="the inputs must be"):
        read_tensors({"image": tensors["image"]}, LIMITS)


def test_an_answer_names_options_and_says_what_it_is_not() -> None:
    (question,) = read(instance())
    opinion = Opinion(specialist="alder", role="Radiologist", letter=None, reasoning="", raw="?")
    held = Consultation(
        specialty=None,
        triage_reasoning="",
        triage_raw="?",
        opinions=(opinion, opinion.model_copy(update={"letter": "B"})),
        letter="A",
        reasoning="because",
        raw="raw",
        seconds={"triage": 0.5, "panel": 1.0, "attending": 0.25},
    )
    said = answer(question, held, "v" * 64)
    assert said["decision"] == {"letter": "A", "answer": "CT"}
    assert [each["answer"] for each in said["opinions"]] == [None, "MR"]
    assert said["seconds"]["total"] == 1.75
    assert (said["specialty"], said["role"]) == (None, "Radiologist")
    assert said["notice"] == NOTICE and "not a medical device" in NOTICE
    assert said["agreement"] is None and said["votes"] == []
    voted = held.model_copy(update={"ballots": ("A", None, "A"), "agreement": 2 / 3})
    assert answer(question, voted, "v")["votes"] == ["A", None, "A"]
    assert answer(question, voted, "v")["agreement"] == 2 / 3
    nothing = answer(question, held.model_copy(update={"letter": None}), "v")
    assert nothing["decision"] == {"letter": None, "answer": None}
