"""Measures what de-identification finds, what it masks wrongly, and how fast it is.

`python benchmarks/privacy.py` prints the figures of docs/privacy.md and writes them to
`benchmarks/results/privacy.json`. It needs the starter set in `data/starter` (real pictures); on
one core it runs for about ten minutes, `--only text` for one.
"""

import argparse
import io
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from mmedagent.cases.privacy import burned_in as burned_in_module  # noqa: E402
from mmedagent.cases.privacy.burned_in import BurnedInText, strokes  # noqa: E402
from mmedagent.cases.privacy.text import TextScrubber  # noqa: E402
from mmedagent.recipes.privacy import PrivacyRecipe  # noqa: E402
from tests.mmedagent.cases.privacy.pictures import still_there, with_text  # noqa: E402
from tests.mmedagent.cases.privacy.planted import left_over, load, planted_texts  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "privacy.json"
STARTER = ROOT / "data" / "starter"
_Z = 1.959964


def share(hits: int, total: int) -> dict[str, Any]:
    """A share with Wilson's 95 % interval."""
    centre = (hits + _Z**2 / 2) / (total + _Z**2)
    half = _Z * math.sqrt(hits * (total - hits) / total + _Z**2 / 4) / (total + _Z**2)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return {"hits": hits, "of": total, "share": hits / total, "low": low, "high": high}


def text_recall(scrubber: TextScrubber, entries: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    caught = [not left_over(secret, scrubber.scrub(text).text) for _, text, secret in entries]
    return share(sum(caught), len(caught))


def text_masks(scrubber: TextScrubber, texts: Iterable[str]) -> dict[str, Any]:
    masked = [bool(scrubber.scrub(text).counts) for text in texts]
    return share(sum(masked), len(masked))


def starter_rows() -> list[dict[str, Any]]:
    from mmedagent.cases.store import read_rows

    return list(read_rows(STARTER))


def text_speed(texts: list[str], numbered: bool) -> float:
    """Texts a second, each seen for the first time, on one core."""
    scrubber = TextScrubber(PrivacyRecipe())
    scrubber.scrub("warm 12345678")
    many = [f"{text} ({n})" if numbered else text for n in range(20) for text in texts]
    began = time.process_time()
    for text in many:
        scrubber.scrub(text)
        scrubber._seen.clear()
    return len(many) / (time.process_time() - began)


def measure_text(rows: list[dict[str, Any]]) -> dict[str, Any]:
    scrubber = TextScrubber(PrivacyRecipe())
    clean, heldout = load("clean"), load("heldout")
    starter = sorted({t for row in rows for t in [row["question"], row["answer"], *row["options"]]})
    questions = [*clean["questions"], *clean["eponyms"], *heldout["clean"], *heldout["fresh_clean"]]
    plain = [text for text in questions if text.isascii() and not any(c.isdigit() for c in text)]
    repeated = [row["question"] for row in rows]
    began = time.process_time()
    for text in repeated:
        scrubber.scrub(text)
    cached = len(repeated) / (time.process_time() - began)
    return {
        "recall": {
            "corpus (the rules were written to it)": text_recall(scrubber, planted_texts()),
            "second set (rules mended after it)": text_recall(scrubber, planted_texts("heldout")),
            "third set (rules mended after it)": text_recall(
                scrubber, planted_texts("heldout", "fresh_texts")
            ),
            "hard names": text_recall(scrubber, planted_texts("heldout", "hard")),
        },
        "false masks": {
            "eponyms (rules mended after it)": text_masks(scrubber, clean["eponyms"]),
            "questions (rules mended after it)": text_masks(scrubber, clean["questions"]),
            "second set (rules mended after it)": text_masks(scrubber, heldout["clean"]),
            "third set (rules mended after it)": text_masks(scrubber, heldout["fresh_clean"]),
            "starter set, distinct texts": text_masks(scrubber, starter),
            "starter set, all questions": text_masks(scrubber, repeated),
        },
        "texts a second": {
            "questions without digits": text_speed(plain, numbered=False),
            "all clean questions": text_speed(questions, numbered=False),
            "with identifiers": text_speed([t for _, t, _ in planted_texts()], numbered=False),
            "seen before": cached,
        },
    }


def pictures(rows: list[dict[str, Any]]) -> list[Image.Image]:
    """The starter set's distinct pictures, shuffled."""
    images = dict.fromkeys(
        image["bytes"]
        for row in rows
        for image in (row["images"] if "images" in row else [row["image"]])
    )
    found = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
    random.Random(0).shuffle(found)
    return found


def sized(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BICUBIC)


def found_text(
    cleaner: BurnedInText, images: list[Image.Image], side: int, heights: tuple[int, ...]
) -> dict[str, Any]:
    """How often text drawn into real pictures is painted over whole."""
    words = load("corpus")["burned_in"]
    draw, hits, faintest = random.Random(side), [], math.inf
    for number, image in enumerate(images):
        height = heights[number % len(heights)]
        room = max(3, int(side * 0.9 / (0.65 * height)))
        text = words[number % len(words)][:room].strip()
        where, turn = (draw.random(), draw.random()), draw.choice((0, 0, 0, 90, 8))
        contrast = draw.choice((1.0, 0.8, 0.6))
        drawn, letters = with_text(sized(image, side), text, height, where, turn, contrast)
        cleaned = cleaner.clean(drawn, "benchmark")
        gone = still_there(cleaned.image, letters) < 0.02
        hits.append(gone)
        if gone:
            faintest = min(faintest, strokes(np.asarray(drawn)))
    return share(sum(hits), len(hits)) | {"faintest strokes found": round(faintest, 1)}


def false_regions(cleaner: BurnedInText, images: list[Image.Image], side: int) -> dict[str, Any]:
    """How often something is painted over in a real picture without text, and how much of it."""
    hits, area, filtered = 0, 0.0, 0
    for image in images:
        before = sized(image, side)
        filtered += strokes(np.asarray(before)) < burned_in_module._LEAST_STROKES
        cleaned = cleaner.clean(before, "benchmark")
        hits += cleaned.regions > 0
        area += float((np.asarray(before) != np.asarray(cleaned.image)).any(axis=-1).mean())
    facts = {"mean area": area / len(images), "skipped by strokes": filtered / len(images)}
    return share(hits, len(images)) | facts


def milliseconds(cleaner: BurnedInText, images: list[Image.Image], side: int) -> float:
    """Of one picture without text that the prefilter does not skip, median."""
    times = []
    for image in images:
        picture = sized(image, side)
        if strokes(np.asarray(picture)) < burned_in_module._LEAST_STROKES:
            continue
        began = time.process_time()
        cleaner.find(np.asarray(picture))
        times.append(1000 * (time.process_time() - began))
    return float(np.median(times))


def measure_images(rows: list[dict[str, Any]]) -> dict[str, Any]:
    images = pictures(rows)
    cleaner = BurnedInText(PrivacyRecipe())
    heights = {
        32: (6, 7),
        48: (6, 8),
        64: (6, 7, 9),
        84: (7, 9, 12),
        128: (8, 12),
        224: (8, 12, 20),
    }
    heights |= {336: (9, 14, 24), 672: (10, 16, 32)}
    counts = {32: 60, 48: 60, 64: 120, 84: 120, 128: 120, 224: 100, 336: 80, 672: 40}
    planted = {}
    for side, sizes in heights.items():
        planted[str(side)] = found_text(cleaner, images[: counts[side]], side, sizes)
        print("burned in", side, planted[str(side)], flush=True)
    clean = {}
    for side, count in ((64, 300), (84, 300), (336, 100), (672, 40)):
        clean[str(side)] = false_regions(cleaner, images[:count], side)
        print("false regions", side, clean[str(side)], flush=True)
    sweep = {}
    for confidence in (0.3, 0.5, 0.7):
        other = BurnedInText(PrivacyRecipe(least_text_confidence=confidence))
        sweep[str(confidence)] = {
            "found": found_text(other, images[:40], 224, (8, 12, 20))["share"],
            "false": false_regions(other, images[200:240], 336)["share"],
        }
        print("confidence", confidence, sweep[str(confidence)], flush=True)
    speed = {str(side): milliseconds(cleaner, images[:30], side) for side in (64, 336, 672)}
    return {
        "planted text painted over whole, by side": planted,
        "pictures without text that are painted on, by side": clean,
        "by least_text_confidence (224 px, 336 px)": sweep,
        "milliseconds a picture": speed,
    }


def measure_dicom() -> dict[str, Any]:
    from mmedagent.cases.privacy.dicom import deidentify, quiet
    from mmedagent.cases.privacy.pseudonym import Pseudonyms
    from tests.mmedagent.cases.privacy.dicoms import PLANTED, SECRETS, planted

    names = Pseudonyms(bytes(range(32)))
    with quiet():
        datasets = [planted() for _ in range(50)]
        began = time.process_time()
        for dataset in datasets:
            deidentify(dataset, names)
        seconds = time.process_time() - began
        buffer = io.BytesIO()
        datasets[0].save_as(buffer, enforce_file_format=True)
    gone = [secret.encode() not in buffer.getvalue() for secret in SECRETS]
    return {
        "attributes": share(sum(gone), len(gone)),
        "planted attributes": len(PLANTED),
        "headers a second": len(datasets) / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("text", "images", "dicom"))
    only = parser.parse_args().only
    rows = starter_rows()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "text": lambda: measure_text(rows),
        "images": lambda: measure_images(rows),
        "dicom": measure_dicom,
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, part in parts.items():
        if only in (None, name):
            results[name] = part()
            print(json.dumps(results[name], indent=1, ensure_ascii=False), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
