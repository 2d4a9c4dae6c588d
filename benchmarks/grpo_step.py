"""CPU seconds of one GRPO step: with this project's shortcuts, and as TRL does it.

    python benchmarks/grpo_step.py --cases data/starter --start models/base

The same prompts and the same seeds. The shortcuts change no loss: the tests hold positions,
logits and gradients to those of transformers and TRL (tests/mmedagent/models/test_speed.py,
tests/mmedagent/training/test_packing.py and test_grpo.py).
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import tempfile
import time
from pathlib import Path

import torch

from mmedagent.models import processor
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import grpo, loss
from mmedagent.training.triage import train_triage


def seconds(cases: Path, start: Path, steps: int) -> float:
    """Return CPU seconds a step, loading left out: the slope between few and many steps."""
    spent = []
    for count in (2, 2 + steps):
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            recipe = TriageRecipe(steps=count, checkpoint_every=10_000)
            train_triage(cases, start, recipe, Path(folder) / "out", Path(folder) / "work")
            spent.append(time.process_time() - began)
    return (spent[1] - spent[0]) / steps


def without_shortcuts() -> None:
    """Put back what transformers and TRL do."""
    grpo.speed_up = lambda model: model
    loss.WHOLE_LOGITS = 0
    processor._PLAIN = frozenset()
    processor._MOST_RENDERED = 0
    processor.ImageCache.get = lambda self, key: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=Path("data/starter"))
    parser.add_argument("--start", type=Path, default=Path("models/base"))
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ours = seconds(arguments.cases, arguments.start, arguments.steps)
    without_shortcuts()
    plain = seconds(arguments.cases, arguments.start, arguments.steps)
    print(json.dumps({"cpu_seconds_a_step": round(ours, 3), "as_trl_does_it": round(plain, 3)}))


if __name__ == "__main__":
    main()
