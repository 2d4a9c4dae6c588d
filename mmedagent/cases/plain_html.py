"""Reduces a library's page to plain HTML: nothing runs in it, nothing is loaded from elsewhere.

Great Expectations writes values of the data into its Data Docs as they are. A modality that is
called `<svg onload=...>` must not run when somebody opens the page.
"""

from html import escape
from html.parser import HTMLParser

_KEPT = frozenset(
    ["a", "b", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol"]
    + ["p", "section", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th"]
    + ["thead", "tr", "u", "ul"]
)
_DROPPED = frozenset(["script", "style", "footer", "nav", "form", "title"])
"""Elements that go with all that is in them."""
_VOID = frozenset(["br", "hr"])
_ATTRIBUTES = frozenset(["class", "id", "colspan", "rowspan"])


def plain_html(page: str) -> str:
    """Return the body of `page`: known elements and attributes, links within it, and text.

    Raises `ValueError` when there is no body.
    """
    parser = _Plain()
    parser.feed(page)
    parser.close()
    if not parser.has_body:
        raise ValueError("the page has no body")
    return "".join(parser.parts)


class _Plain(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.has_body = False
        self._inside = False
        self._dropped: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._inside = self.has_body = True
        elif tag in _DROPPED:
            self._dropped.append(tag)
        elif self._writing and tag in _KEPT:
            kept = "".join(f' {name}="{escape(value)}"' for name, value in _attributes(tag, attrs))
            self.parts.append(f"<{tag}{kept}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "body":
            self._inside = False
        elif self._dropped and tag == self._dropped[-1]:
            self._dropped.pop()
        elif self._writing and tag in _KEPT - _VOID:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._writing:
            self.parts.append(escape(data))

    @property
    def _writing(self) -> bool:
        return self._inside and not self._dropped


def _attributes(tag: str, attrs: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    found = [(name, value) for name, value in attrs if value is not None]
    links = [(n, v) for n, v in found if tag == "a" and n == "href" and v.startswith("#")]
    return [(name, value) for name, value in found if name in _ATTRIBUTES] + links
