import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.privacy.report import PLACES, PrivacyReport
from mmedagent.errors import BadDataError

entries = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.dictionaries(st.sampled_from(["name", "date"]), st.integers(0, 3)),
        st.booleans(),
    )
)


@given(entries, entries)
def test_two_halves_merge_into_the_whole(first: list, second: list) -> None:
    whole, one, other = PrivacyReport(), PrivacyReport(), PrivacyReport()
    for place, counts, refused in first:
        one.add(place, counts, refused)
        whole.add(place, counts, refused)
    for place, counts, refused in second:
        other.add(place, counts, refused)
        whole.add(place, counts, refused)
    one.merge(PrivacyReport.from_dict(json.loads(json.dumps(other.as_dict()))))
    assert one.as_dict() == whole.as_dict()
    assert one.total == sum(sum(c.values()) for _, c, _ in [*first, *second])


def test_what_is_counted() -> None:
    report = PrivacyReport()
    report.add("question", {"name": 2, "date": 0})
    report.add("question", {})
    report.add("image", {}, refused=True)
    assert report.as_dict() == {
        "removed": {"question": {"name": 2}},
        "looked_at": {"question": 2, "image": 1},
        "touched": {"question": 1},
        "refused": {"image": 1},
    }


def test_a_place_is_no_free_text() -> None:
    with pytest.raises(BadDataError, match="no such place"):
        PrivacyReport().add("file DOE_JOHN.dcm", {"name": 1})  # type: ignore[arg-type]
