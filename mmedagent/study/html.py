"""The study's page as one HTML file, and its figures as files of their own."""

import re
from collections.abc import Mapping

from markdown_it import MarkdownIt
from markupsafe import Markup

from mmedagent.report.page import render

_LIGHT = {
    "--paper": "#fbfaf7", "--card": "#ffffff", "--ink": "#1c2126", "--soft": "#5a646e",
    "--faint": "#8a939c", "--grid": "#e4e1d9", "--pass": "#12715b", "--fail": "#b1361e",
    "--s1": "#12715b", "--s2": "#3f5f8f", "--s3": "#c07a12", "--s4": "#8a4f9e",
}  # fmt: skip
_DARK = {
    "--paper": "#14171a", "--card": "#1b1f23", "--ink": "#e8e6e1", "--soft": "#a4adb5",
    "--faint": "#79828a", "--grid": "#30363c", "--pass": "#5cc2a3", "--fail": "#f08a6f",
    "--s1": "#4fb896", "--s2": "#86a8dc", "--s3": "#dd9c3e", "--s4": "#c79ad6",
}  # fmt: skip
"""The page's colours (report/templates/page.css), and four for series that lie side by side."""
_TEXT = (
    'text { fill: var(--ink); font-family: ui-sans-serif, "Segoe UI", Roboto, "Helvetica Neue",'
    ' "DejaVu Sans", sans-serif; } .soft { fill: var(--soft); } .faint { fill: var(--faint); }'
)
_MARGIN = 14.0
_IMAGE = re.compile(r'<img src="study/([a-z_-]+)\.svg" alt="[^"]*"\s*/?>')


def colours() -> str:
    """Return the CSS variables of the figures, for light and dark pages."""

    def block(values: Mapping[str, str]) -> str:
        return ":root { " + " ".join(f"{name}: {value};" for name, value in values.items()) + " }"

    return f"{block(_LIGHT)} @media (prefers-color-scheme: dark) {{ {block(_DARK)} }}"


def standalone(svg: Markup) -> str:
    """Return a drawing as a file: its own colours, a ground, a margin."""
    text = str(svg)  # Markup would escape what is put into it
    width, height = (float(n) for n in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0])
    wide, tall = width + 2 * _MARGIN, height + 2 * _MARGIN
    box = f"{-_MARGIN:g} {-_MARGIN:g} {wide:g} {tall:g}"
    ground = (
        f'<rect x="{-_MARGIN:g}" y="{-_MARGIN:g}" width="{wide:g}" height="{tall:g}" rx="8"'
        ' fill="var(--paper)"></rect>'
    )
    head, body = text.split(">", 1)
    head = head.replace(
        re.findall(r'viewBox="[^"]*"', head)[0],
        f'xmlns="http://www.w3.org/2000/svg" width="{wide:g}" height="{tall:g}" viewBox="{box}"',
    )
    lines = f"{head}><style>{colours()} {_TEXT}</style>{ground}{body}"
    return lines.replace("><", ">\n<") + "\n"


def html_page(title: str, markdown: str, drawn: Mapping[str, Markup]) -> str:
    """Return the Markdown page as self-contained HTML, figures inline."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(_bare(markdown))
    body = body.replace("<p><img", "<img").replace("/></p>", "/>")  # a figure is no paragraph's
    body = _IMAGE.sub(lambda found: _inline(found, drawn), body)
    body = body.replace("<table>", '<div class="scroll"><table>').replace(
        "</table>", "</table></div>"
    )
    return render("study.html.j2", title=title, body=Markup(body), colours=Markup(colours()))


def _bare(markdown: str) -> str:
    """Leave out comments, which would show as text."""
    return re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)


def _inline(found: re.Match[str], drawn: Mapping[str, Markup]) -> str:
    return f"<figure>{drawn[found[1]]}</figure>"
