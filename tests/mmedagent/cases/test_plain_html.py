"""Nothing that stands in the data runs in a page or loads something from elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.plain_html import plain_html


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<p class='a'>1 &lt; 2</p>", '<p class="a">1 &lt; 2</p>'),
        ("<script>alert(1)</script>a", "a"),
        ("<svg onload=alert(1)></svg>b", "b"),
        ("<img src=x onerror=alert(1)>c", "c"),
        ("<p onclick=alert(1) style='background:url(//x)'>d</p>", "<p>d</p>"),
        ("<a href='javascript:alert(1)'>e</a>", "<a>e</a>"),
        ("<a href='#there'>f</a>", '<a href="#there">f</a>'),
        ("<nav><ul><li>g</li></ul></nav>h<br/>", "h<br>"),
        ("<!-- i --><iframe src=//x></iframe>j", "j"),
        ("<div id='\"><b>'>k</div>", '<div id="&quot;&gt;&lt;b&gt;">k</div>'),
    ],
)
def test_only_plain_elements_stay(inside: str, expected: str) -> None:
    page = f"<html><head><title>x</title><link href=//x></head><body>{inside}</body></html>"
    assert plain_html(page) == expected


@given(st.text(alphabet="<>/ abdips\"'=!-&;onlk#", max_size=80))
def test_whatever_it_is_given_a_second_time_changes_nothing(text: str) -> None:
    once = plain_html(f"<body>{text}</body>")
    assert plain_html(f"<body>{once}</body>") == once


def test_a_page_without_a_body_is_an_error() -> None:
    with pytest.raises(ValueError, match="no body"):
        plain_html("nothing")
