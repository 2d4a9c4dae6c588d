"""Training curves: one line of JSON per optimiser step."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from mmedagent import atomic, progress
from mmedagent.training.reward import FORMAT_REWARD

FILE = "curves.jsonl"
_FIELDS = {
    "reward": "reward",
    "reward_std": "reward_std",
    "entropy": "entropy",
    "kl": "kl",
    "loss": "loss",
    "zero_variance_share": "frac_reward_zero_std",
    "accuracy": "rewards/accuracy/mean",
    "completion_length": "completions/mean_length",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
}


def curve(stage: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one record per optimiser step of a trainer's log history.

    Fields: stage, step, reward, reward_std, entropy (nats per token), kl (nats per token), loss,
    zero_variance_share (groups whose rewards were all equal), accuracy, format_rate,
    completion_length (tokens), learning_rate, grad_norm. The history survives a checkpoint, so
    the curve of a resumed run has no gap and no step twice. Times are left out: the curve lies
    beside the weights, and the same training must give the same digest.
    """
    records = []
    for entry in history:
        if "reward" not in entry:
            continue
        record: dict[str, Any] = {"stage": stage, "step": int(entry["step"])}
        record |= {name: entry.get(key) for name, key in _FIELDS.items()}
        record["format_rate"] = entry["rewards/format/mean"] / FORMAT_REWARD
        records.append(record)
    return records


def curve_bytes(records: list[dict[str, Any]]) -> bytes:
    """Return records as JSON lines."""
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()


def read_curves(path: Path) -> list[dict[str, Any]]:
    """Read a `curves.jsonl`; an absent file is an empty curve."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


class Progress(TrainerCallback):
    """Tells the watcher of the run how far training is, and keeps `curves.jsonl` current."""

    def __init__(self, stage: str, path: Path) -> None:
        self._stage = stage
        self._path = path
        self._written = 0.0

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Report the step that was just logged."""
        reward = (logs or {}).get("reward")
        text = f"{self._stage}: reward {reward:.2f}" if reward is not None else self._stage
        progress.tell(state.global_step, state.max_steps, text)
        if time.monotonic() - self._written > 5:
            atomic.write_bytes(self._path, curve_bytes(curve(self._stage, state.log_history)))
            self._written = time.monotonic()
