import socket
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmedagent.cases.privacy.burned_in import BurnedInText, strokes
from mmedagent.cases.privacy.refusal import RefusedForPrivacy
from mmedagent.errors import BadDataError
from mmedagent.recipes.privacy import PrivacyRecipe
from tests.mmedagent.cases.privacy.pictures import picture, still_there, with_text
from tests.mmedagent.cases.privacy.planted import load

PLANTED: list[str] = load("corpus")["burned_in"]
CLEANER = BurnedInText(PrivacyRecipe())
_SIDES = (224, 336, 512)
_TURNS = (0, 0, 90, 8)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _planted(number: int, text: str) -> tuple[Image.Image, Any]:
    side = _SIDES[number % 3]
    image = picture(side, number, colour=number % 2 == 0)
    where = ((number * 0.37) % 1, (number * 0.61) % 1)
    return with_text(image, text, 12 + number % 8, where, _TURNS[number % 4])


@pytest.mark.parametrize(("number", "text"), list(enumerate(PLANTED))[:6])
def test_burned_in_text_is_painted_over(number: int, text: str) -> None:
    image, drawn = _planted(number, text)
    cleaned = CLEANER.clean(image, "row 1")
    assert cleaned.regions > 0 and cleaned.image.mode == image.mode
    assert still_there(cleaned.image, drawn) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("number", "text"), list(enumerate(PLANTED)))
def test_the_whole_corpus_is_painted_over(number: int, text: str) -> None:
    image, drawn = _planted(number, text)
    assert still_there(CLEANER.clean(image, "row 1").image, drawn) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("contrast", [0.5, 0.7])
@pytest.mark.parametrize("pixels", [10, 16, 30])
def test_faint_and_large_text_is_found(contrast: float, pixels: int) -> None:
    image, drawn = with_text(picture(336, 5), "ABERNATHY", pixels, (0.1, 0.9), 0, contrast)
    assert still_there(CLEANER.clean(image, "row 1").image, drawn) < 0.02


def test_refusing_names_the_place_and_not_the_text() -> None:
    image, _ = _planted(1, "ABERNATHY GWEN")
    with pytest.raises(
        RefusedForPrivacy, match=r"^cases\.csv row 17: [1-9]\d* text region"
    ) as error:
        BurnedInText(PrivacyRecipe(burned_in_text="refuse")).clean(image, "cases.csv row 17")
    assert isinstance(error.value, BadDataError) and "ABERNATHY" not in str(error.value)


def test_a_picture_without_text_stays_as_it_is() -> None:
    ramp = np.linspace(0, 255, 336)[None, :] * np.ones((336, 1))
    noise = np.random.default_rng(0).normal(128, 20, (64, 64))
    for pixels in (ramp, noise):
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        for action in ("mask", "refuse"):
            cleaned = BurnedInText(PrivacyRecipe(burned_in_text=action)).clean(image, "row 1")
            assert cleaned.regions == 0 and cleaned.image is image


def test_keep_does_not_look() -> None:
    image, _ = _planted(0, "ABERNATHY")
    assert BurnedInText(PrivacyRecipe(burned_in_text="keep")).clean(image, "row 1").image is image


def test_cleaning_twice_is_cleaning_once() -> None:
    image, _ = _planted(3, "ACC118734")
    once = CLEANER.clean(image, "row 1")
    again = CLEANER.clean(once.image, "row 1")
    assert again.regions == 0 and np.array_equal(np.asarray(once.image), np.asarray(again.image))


def test_the_confidence_of_the_recipe_decides() -> None:
    image, _ = _planted(1, "ABERNATHY GWEN")
    sure = BurnedInText(PrivacyRecipe(least_text_confidence=1.0))
    assert sure.clean(image, "row 1").regions == 0 < CLEANER.clean(image, "row 1").regions


def test_the_prefilter_lets_all_planted_text_through() -> None:
    for number, text in enumerate(PLANTED):
        image, _ = _planted(number, text)
        assert strokes(np.asarray(image)) > 2 * 12.0
    assert strokes(np.full((64, 64), 100, dtype=np.uint8)) == 0


def test_the_detector_runs_on_one_thread_with_the_weights_of_its_package() -> None:
    import rapidocr

    loaded = CLEANER._loaded()
    options = loaded.session.session.get_session_options()
    assert options.intra_op_num_threads == 1
    weights = loaded.session.session._model_path
    assert str(weights).startswith(str(rapidocr.__path__[0]))


@pytest.mark.parametrize("size", [(31, 200), (16, 16), (1, 1)])
def test_images_too_small_for_text_are_not_searched(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    image = Image.fromarray(noise)
    assert CLEANER.clean(image, "row 1").image is image


@pytest.mark.parametrize("size", [(2000, 64), (40, 900), (33, 33)])
def test_odd_shapes_can_be_searched(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    assert CLEANER.clean(Image.fromarray(noise), "row 1").image.size == size
