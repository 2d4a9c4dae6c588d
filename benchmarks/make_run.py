"""Wall time and peak memory of `make run`, all processes counted.

    python benchmarks/make_run.py --again --output benchmarks/results/make_run.json

runs `make run` from nothing but an installed environment (data, models, runs and the object store
are made in a scratch clone of this commit, or in --checkout, a clone that is installed and clean),
then with --again a second time with nothing changed.
Memory is the sum of the proportional set sizes (PSS) of every process that descends from the
command, servers that it leaves in the background among them, sampled twice a second.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psutil

MARK = "MMEDAGENT_BENCHMARK"
ROOT = Path(__file__).resolve().parents[1]


def marked_memory(token: str) -> int:
    """Return the summed PSS in bytes of all processes that inherited this run's mark."""
    total = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == token:
                total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue
    return total


def measure(command: list[str], folder: Path, token: str) -> dict[str, float | int]:
    """Run `command` in `folder` and return its exit code, seconds and peak memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, MARK: token})
    peak = 0
    while process.poll() is None:
        peak = max(peak, marked_memory(token))
        time.sleep(0.5)
    return {
        "exit_code": process.returncode,
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_mib": round(peak / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", action="store_true", help="measure a rerun without changes too")
    parser.add_argument("--checkout", type=Path, help="measure in this installed, clean clone")
    parser.add_argument("--output", type=Path, default=None, help="write the figures as JSON")
    arguments = parser.parse_args()
    token = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="mmedagent-benchmark-") as scratch:
        clone = arguments.checkout or clone_and_install(Path(scratch) / "clone")
        for made in ("data", "models", "runs", "work"):
            if (clone / made).exists():
                parser.error(f"{clone / made} exists: `make clean` first, or leave --checkout out")
        figures = {"first": measure(["make", "run"], clone, token)}
        if arguments.again:
            figures["again"] = measure(["make", "run"], clone, token)
        subprocess.run(["make", "stop"], cwd=clone, check=False)
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True
        ).stdout.strip()
    result = {"revision": revision, "cores": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps(result | figures, indent=2))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result | figures, indent=2) + "\n")


def clone_and_install(clone: Path) -> Path:
    """Clone this commit into `clone`, share the fetched packages with it, and install it."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / ".cache").mkdir(exist_ok=True)
    (clone / ".cache/sources").symlink_to(ROOT / ".cache/sources")
    subprocess.run(["make", "install"], cwd=clone, check=True)
    return clone


if __name__ == "__main__":
    main()
