"""The opinion's key: equal requests have one key, and whatever may change a reply changes it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.cases.case import SPECIALTIES, Question
from mmedagent.consultation.doctor import Sampling
from mmedagent.panel.request import Identity, Request

texts = st.text(min_size=1, max_size=20)
questions = st.builds(
    Question,
    images=st.tuples(st.binary(max_size=20)),
    question=texts,
    options=st.lists(texts, min_size=2, max_size=5).map(tuple),
)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
    top_p=st.sampled_from([0.9, 1.0]),
    max_new_tokens=st.integers(1, 9),
    seed=st.integers(0, 9),
)
requests = st.builds(
    Request,
    question=questions,
    role=st.sampled_from(SPECIALTIES),
    style=st.sampled_from(["compact", "full"]),
    sampling=samplings,
)
names = st.none() | st.text(max_size=5)
identities = st.builds(
    Identity, weights=names, endpoint=names, model=names, fingerprint=names, pin=names
)


def facts(request: Request, identity: Identity) -> Any:
    """Everything that may change the reply, as plain values."""
    who: Any = identity if identity.weights is None else identity.weights
    return (request.question, request.role, request.style, request.sampling, who)


@settings(deadline=None, max_examples=300)
@given(requests, requests, identities, identities)
def test_keys_are_equal_exactly_when_the_requests_are(
    one: Request, other: Request, first: Identity, second: Identity
) -> None:
    same = facts(one, first) == facts(other, second)
    assert (one.key(first) == other.key(second)) == same


@settings(deadline=None)
@given(requests, identities, st.data())
def test_one_changed_fact_changes_the_key(
    request: Request, identity: Identity, data: st.DataObject
) -> None:
    q, s = request.question, request.sampling
    changes: dict[str, Request] = {
        "image": _with(request, question=_copy(q, images=(q.images[0] + b"x",))),
        "question": _with(request, question=_copy(q, question=q.question + " ")),
        "options": _with(request, question=_copy(q, options=(*q.options, "none of these"))),
        "seed": _with(request, sampling=_copy(s, seed=s.seed + 1)),
        "temperature": _with(request, sampling=_copy(s, temperature=s.temperature + 0.25)),
        "style": _with(request, style="full" if request.style == "compact" else "compact"),
    }
    if q.options != q.options[::-1]:
        changes["order"] = _with(request, question=_copy(q, options=q.options[::-1]))
    role = data.draw(st.sampled_from(SPECIALTIES))
    if role != request.role:
        changes["role"] = _with(request, role=role)
    for name, changed in changes.items():
        assert changed.key(identity) != request.key(identity), name


def test_a_change_of_wording_changes_the_key(monkeypatch: Any) -> None:
    question = Question(images=(b"x",), question="Which?", options=("a", "b"))
    before = Request(question, "Surgeon", "full", Sampling()).digest
    monkeypatch.setattr(
        "mmedagent.panel.request.specialist_messages",
        lambda *_: [{"role": "user", "content": [{"type": "text", "text": "another wording"}]}],
    )
    assert Request(question, "Surgeon", "full", Sampling()).digest != before


def test_only_the_weights_count_where_they_are_ours() -> None:
    here = Identity(weights="w", endpoint="http://127.0.0.1:1/v1", fingerprint="w")
    assert here.digest == Identity(weights="w", endpoint="http://127.0.0.1:2/v1").digest
    assert here.digest != Identity(weights="v", endpoint="http://127.0.0.1:1/v1").digest


def _copy(model: Any, **changes: Any) -> Any:
    return model.model_copy(update=changes)


def _with(request: Request, **changes: Any) -> Request:
    fields = {n: getattr(request, n) for n in ("question", "role", "style", "sampling")}
    return Request(**(fields | changes))
