"""What the pages of validation share: one style, thumbnails, the head with its figures."""

import base64
import html
import io
from collections.abc import Iterable
from importlib import resources

from PIL import Image

_SIDE = 112


def page(title: str, body: str, *styles: str) -> str:
    """Return a whole page with the findings' style and further `styles`; `body` is HTML."""
    own = resources.files(__package__).joinpath("findings.css").read_text(encoding="utf-8")
    style = "\n".join((own, *styles))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>\n{style}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )


def picture(data: bytes | None, side: int = _SIDE) -> str:
    """Return an encoded image as a thumbnail within the page, or a blank place where it is none."""
    if data is None:
        return '<span class="nothing">no image</span>'
    try:
        with Image.open(io.BytesIO(data)) as opened:
            small = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return '<span class="nothing">unreadable</span>'
    small.thumbnail((2 * side, 2 * side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{encoded}">'


def tiles(figures: Iterable[tuple[str, int]]) -> str:
    """Return a row of numbers with their names."""
    cells = "".join(
        f'<div class="tile"><b>{number:,}</b><span>{name}</span></div>' for name, number in figures
    )
    return f'<div class="tiles">{cells}</div>'


def title(name: str, verdict: str, mark: str) -> str:
    """Return the heading: the data set's name and the verdict, marked `ok`, `bad` or `doubt`."""
    return f'<h1>{html.escape(name)} <em class="{mark}">{html.escape(verdict)}</em></h1>'
