"""Ingest and validate n synthetic cases, ours and the plain way, in one run.

    python benchmarks/data.py --cases 10000 30000 100000 --largest 1000000

Each case has an own 64 x 64 picture; the release is a folder of Parquet files in PathVQA's hub
layout (image, question, answer), which both ways read. The plain way is what a notebook does:
`datasets.map` decodes, scales and encodes each image with two processes, pandas checks the table.
It leaves out what nothing there offers: de-identification, near duplicates, options, pools. Ours
searches texts for personal data; images are searched for text at one n alone, which costs most.
Each way runs in a process of its own, whose tree's peak memory (summed PSS) is sampled.
"""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 64
_PER_FILE = 25_000
_ORGANS = ("liver", "kidney", "lung", "heart", "breast", "colon", "spleen", "skin", "brain", "bone")
_SIGNS = ("necrosis", "fibrosis", "a mass", "oedema", "haemorrhage", "calcification", "a cyst")
_STAINS = ("H&E", "PAS", "Masson trichrome", "Giemsa", "Congo red")


def question(draw: np.random.Generator) -> tuple[str, str]:
    """One question and its answer, of the kinds that PathVQA asks."""
    organ, sign = draw.choice(_ORGANS), draw.choice(_SIGNS)
    size, kind = draw.integers(2, 90), draw.integers(4)
    if kind < 2:
        return f"does the {organ} section show {sign} of {size} mm?", draw.choice(("yes", "no"))
    if kind == 2:
        return f"what is seen in this {organ} at {size}x magnification?", sign
    return f"which stain was used for this {organ} section of {size} um?", draw.choice(_STAINS)


def picture(draw: np.random.Generator) -> bytes:
    small = Image.fromarray(draw.integers(0, 255, (8, 8), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_part(job: tuple[Path, str, int, int]) -> None:
    folder, split, number, count = job
    draw = np.random.default_rng([7, number])
    path = folder / f"{split}-{number:05d}.parquet"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind), ("question", pa.string()), ("answer", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, count, 1000):
            rows = []
            for _ in range(min(1000, count - start)):
                asked, answer = question(draw)
                image = {"bytes": picture(draw), "path": None}
                rows.append({"image": image, "question": asked, "answer": answer})
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def write_release(folder: Path, cases: int) -> Path:
    """Write a release of `cases` cases, 80 % of them train, 10 % each validation and test."""
    data = folder / "data"
    data.mkdir(parents=True)
    jobs, number = [], 0
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        left = round(cases * share)
        while left > 0:
            jobs.append((data, split, number, min(_PER_FILE, left)))
            left, number = left - _PER_FILE, number + 1
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(write_part, jobs, chunksize=1)
    return folder


def ours_ingest(release: Path, work: Path, burned_in_text: str = "keep") -> None:
    from mmedagent.cases.add import add_cases
    from mmedagent.digests import digest_folder
    from mmedagent.recipes.privacy import PrivacyRecipe
    from mmedagent.recipes.sets import DataSetRecipe, SourceRecipe

    recipe = DataSetRecipe(
        name="synthetic",
        source=SourceRecipe(name="path-vqa"),
        release=str(release),
        sha256=digest_folder(release),
        privacy=PrivacyRecipe(burned_in_text=burned_in_text),
    )
    add_cases(recipe, Path("/"), work / "version", work / "chunks")


def ours_ingest_ocr(release: Path, work: Path) -> None:
    ours_ingest(release, work, "mask")


def ours_validate(release: Path, work: Path) -> None:
    from mmedagent.cases.validation import validate
    from mmedagent.recipes.data import ValidationRecipe

    pools = ("warm_start", "train", "validation", "test")
    recipe = ValidationRecipe(pools=pools, modalities=("pathology", "histology"))
    validate(work / "version", recipe, work / "validation")


def _convert(row: dict[str, Any]) -> dict[str, Any]:
    image = row["image"].convert("RGB")
    image.thumbnail((672, 672))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"image": {"bytes": buffer.getvalue(), "path": None}, "width": image.width}


def plain_ingest(release: Path, work: Path) -> None:
    import datasets

    files = {
        split: [str(path) for path in sorted((release / "data").glob(f"{split}-*.parquet"))]
        for split in ("train", "validation", "test")
    }
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(work / "cache"))
    for split, rows in loaded.items():
        rows = rows.cast_column("image", datasets.Image())
        rows.map(_convert, num_proc=2).to_parquet(str(work / f"{split}.parquet"))


def plain_validate(release: Path, work: Path) -> None:
    import hashlib

    import pandas as pd

    splits = {s: pd.read_parquet(work / f"{s}.parquet") for s in ("train", "validation", "test")}
    frame = pd.concat(splits, names=["split"]).reset_index(level=0)
    assert frame["question"].str.strip().ne("").all() and frame["answer"].notna().all()
    data = frame["image"].map(lambda image: image["bytes"])
    frame["digest"] = data.map(lambda one: hashlib.sha256(one).hexdigest())
    frame["decodes"] = data.map(lambda one: Image.open(io.BytesIO(one)).convert("RGB").size[0] > 27)
    assert frame["decodes"].all()
    assert (frame.groupby("digest")["split"].nunique() == 1).all()
    assert frame.groupby(["digest", "question"])["answer"].nunique().max() == 1


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "ours ingest": ours_ingest,
    "ours validate": ours_validate,
    "plain ingest": plain_ingest,
    "plain validate": plain_validate,
    "ours ingest, text masked": ours_ingest_ocr,
}
COMPARED = ("ours ingest", "ours validate", "plain ingest", "plain validate")


def memory(process: psutil.Process) -> int:
    """Return the bytes that a process and its children hold, shared pages counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(way: str, release: Path, work: Path) -> dict[str, float]:
    """Run one way in a process of its own; return its seconds, CPU seconds and peak GB."""
    started, before = time.monotonic(), os.times()
    process = multiprocessing.get_context("spawn").Process(target=WAYS[way], args=(release, work))
    process.start()
    peak, over = [0], threading.Event()

    def watch() -> None:
        watched = psutil.Process(process.pid)
        while not over.wait(0.5):
            peak[0] = max(peak[0], memory(watched))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.join()
    over.set()
    watcher.join()
    if process.exitcode:
        raise SystemExit(f"{way} ended with {process.exitcode}")
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(spent, 1),
        "peak_gb": round(peak[0] / 2**30, 2),
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw CPU seconds and peak memory over n."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "data"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, field, title in zip(
        axes, ("cpu_seconds", "peak_gb"), ("CPU seconds", "peak memory, GB"), strict=True
    ):
        for way, style in zip(COMPARED, ("o-C0", "s-C0", "o--C1", "s--C1"), strict=True):
            points = [(row["cases"], row[field]) for row in rows if row["way"] == way]
            axis.plot(*zip(*points, strict=True), style, label=way, markersize=4)
        axis.set_xscale("log")
        axis.set(title=title, xlabel="cases")
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    axes[1].set_ylim(0, 2.1)
    axes[1].axhline(2, color="0.5", linestyle=":")
    axes[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="*", default=[10_000, 30_000, 100_000])
    parser.add_argument("--largest", type=int, default=None, help="ours alone at this n")
    parser.add_argument("--masked", type=int, default=5_000, help="n with a text search")
    parser.add_argument("--scratch", type=Path, default=None, help="some 15 GB at a million")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/data.json"))
    parser.add_argument("--plot", type=Path, help="draw what --output holds here, and stop")
    arguments = parser.parse_args()
    if arguments.plot:
        plot(json.loads(arguments.output.read_text())["rows"], arguments.plot)
        return
    rows: list[dict[str, Any]] = []
    plans: list[tuple[int, tuple[str, ...]]] = [(n, COMPARED) for n in arguments.cases]
    plans.insert(0, (arguments.masked, ("ours ingest, text masked",)))
    if arguments.largest:
        plans.append((arguments.largest, COMPARED[:2]))
    for n, ways in plans:
        scratch = Path(tempfile.mkdtemp(dir=arguments.scratch))
        try:
            release = write_release(scratch / "release", n)
            for way in ways:
                work = scratch / way.split()[0]
                work.mkdir(exist_ok=True)
                rows.append({"cases": n, "way": way, **measure(way, release, work)})
                print(json.dumps(rows[-1]), flush=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        arguments.output.write_text(json.dumps({"side": SIDE, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
