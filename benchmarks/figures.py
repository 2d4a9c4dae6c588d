"""The laptop recipe's held-out figures over several seeds, beside the bars that it should reach.

    python benchmarks/figures.py --seeds 0 1 2 --output benchmarks/results/figures.json

runs the whole DAG once a seed (warm starts and both trainings take the seed; data and panel stay),
each in a home of its own so that every challenger is judged against its own Start, and prints mean
and range over seeds of each figure with its 95 % interval per seed (clustered by image). What is
already in --home is not run again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SEEDED = (
    "warm_start.triage.seed",
    "warm_start.attending.seed",
    "training.triage.seed",
    "training.attending.seed",
)
ENDINGS = (0, 10, 11)
"""Exit codes of a run that worked: the three verdicts."""


def run_seed(seed: int, home: Path, pool: str) -> dict[str, Any]:
    """Run the DAG with `seed` and return its metrics."""
    settings = [f"--set={field}={seed}" for field in SEEDED] + [
        f"--set=evaluation.pool={pool}",
        f"--set=gate.pool={pool}",
    ]
    folder = home / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mmedagent.cli.main", "run", "--no-serve", *settings]
    environment = {**os.environ, "MMEDAGENT_HOME": str(folder)}
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    stop = [sys.executable, "-m", "mmedagent.cli.main", "store", "stop"]
    subprocess.run(stop, cwd=ROOT, env=environment, check=False, capture_output=True)
    if code not in ENDINGS:
        sys.exit(f"seed {seed}: the run failed with exit code {code}")
    run = folder / "runs" / "latest"
    record = json.loads((run / "tasks" / "evaluate.json").read_text())
    evaluation = run / record["outputs"]["evaluation"]
    return dict(json.loads((evaluation / "metrics.json").read_text()))


def bars(metrics: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return figure -> (what was reached, the bar), all shares of 1."""
    systems, differences = metrics["systems"], metrics["differences"]
    challenger = systems["challenger"]
    triage = challenger["triage"]
    recalls = [r["value"] for r in triage["specialty"].values() if r["carries_bar"]]
    best = f"specialist:{metrics['best_specialist']['name']}"
    return {
        "triage greedy": (triage["accuracy"]["value"], 0.80),
        "triage sampled above Start": (differences["start"]["triage_sampled"]["value"], 0.12),
        "triage lowest specialty": (min(recalls), 0.01),
        "attending greedy": (challenger["accuracy"]["value"], 0.0),
        "attending above majority": (differences["panel_majority"]["accuracy"]["value"], 0.05),
        "attending above best specialist": (differences[best]["accuracy"]["value"], 0.05),
        "attending greedy above Start": (differences["start"]["accuracy"]["value"], 0.02),
        "attending sampled above Start": (differences["start"]["sampled"]["value"], 0.04),
        "attending easy cases": (challenger["tier"]["easy"]["value"], 0.90),
        "role effect of the panel": (metrics["panel"]["role_effect"]["difference"]["value"], 0.10),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pool", default="test", help="the measured pool; validation for choosing")
    parser.add_argument("--home", type=Path, default=ROOT / "work" / "benchmark-figures")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    found = {
        s: run_seed(s, arguments.home / arguments.pool, arguments.pool) for s in arguments.seeds
    }
    table = {seed: bars(metrics) for seed, metrics in found.items()}
    names = list(next(iter(table.values())))
    print("| figure | bar | mean | " + " | ".join(f"seed {s}" for s in table) + " | reached |")
    print("|---|---|---|" + "---|" * (len(table) + 1))
    rows = {}
    for name in names:
        values = [row[name][0] for row in table.values()]
        bar = table[arguments.seeds[0]][name][1]
        rows[name] = {"bar": bar, "mean": mean(values), "seeds": values}
        said = "yes" if mean(values) >= bar else "no"
        cells = " | ".join(f"{v:.3f}" for v in values)
        print(f"| {name} | {bar:.2f} | {mean(values):.3f} | {cells} | {said} |")
    if arguments.output:
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
        cases = {key: found[arguments.seeds[0]][key] for key in ("cases", "images", "subjects")}
        result = {"revision": revision, "pool": arguments.pool, **cases, "figures": rows}
        result["metrics"] = {str(seed): metrics for seed, metrics in found.items()}
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
