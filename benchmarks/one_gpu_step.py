"""Memory and time of a training step of the recipe `one-gpu`, on Qwen2.5-VL-3B with random weights.

    python benchmarks/one_gpu_step.py                  # needs a CUDA GPU of 80 GB, no network
    python benchmarks/one_gpu_step.py --set training.attending.micro_batch=4
    python benchmarks/one_gpu_step.py --model tiny     # the same code on a CPU: no measurement

The architecture is the published one (configuration spelt out below), the weights are random, so
nothing is fetched. What that changes: replies are nonsense and hence always as long as they may be
(the slowest case), and their rewards are drawn by lot, for without a difference in a group there
would be no training pass to measure.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    TrainerCallback,
)

from mmedagent.cases.case import Case, Opinion
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages
from mmedagent.errors import MMedAgentError, UsageError
from mmedagent.models.load import load_processor
from mmedagent.models.processor import ImageOnlyProcessor, image_processor
from mmedagent.models.save import save_model
from mmedagent.models.tiny import build_tiny
from mmedagent.models.tokenizer import train_tokenizer
from mmedagent.recipes.model import TinyModel
from mmedagent.recipes.resolve import resolve
from mmedagent.recipes.training import AttendingRecipe
from mmedagent.training.grpo import Job, Task, make_trainer
from mmedagent.training.machine import check_machine

TEXT_3B: dict[str, Any] = {
    "vocab_size": 151_936,
    "hidden_size": 2048,
    "intermediate_size": 11_008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128_000,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_section": [16, 24, 24],
    },
}
VISION_3B: dict[str, Any] = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "patch_size": 14,
    "window_size": 112,
    "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
"""From the published configuration of Qwen2.5-VL-3B-Instruct."""
# A dry run: the recipe as it is, but for what a CPU and a tiny model cannot do.
TINY = (
    "training.attending.dtype=float32",
    "training.attending.prompts_per_step=2",
    "training.attending.micro_batch=4",
    "training.attending.max_new_tokens=12",
)
REASONING = (
    "The margins are well defined and the texture is homogeneous, which speaks against an "
    "infiltrating process; the surrounding tissue keeps its pattern. "
)


def tasks(count: int, pixels: int, seed: int = 0) -> list[Task]:
    """Return attending prompts in the full style: one noise image, three reasoned opinions each."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        image = _image(pixels, draw)
        case = Case(
            case_id=f"synthetic-{number}",
            images=(image,),
            question="Which of these is the most likely finding in the marked region?",
            options=("adenoma", "carcinoma", "inflammation", "normal tissue"),
            answer="carcinoma",
            question_type="region",
            modality="CT",
            specialty="Radiologist",
            source="synthetic",
            subject=f"synthetic-{number}",
            pool="train",
        )
        said = [
            Opinion(
                specialist=name,
                role="Radiologist",
                letter=draw.choice("ABCD"),
                reasoning=REASONING * 4,
                raw="",
            )
            for name in ("one", "two", "three")
        ]
        prompt = Prompt(attending_messages(case.view(), said, "full"), (image,))
        made.append(Task(prompt, case, entropy=0.005, kl=0.004))
    return made


def _image(pixels: int, draw: random.Random) -> bytes:
    import io

    noise = Image.frombytes("RGB", (16, 16), draw.randbytes(16 * 16 * 3))
    buffer = io.BytesIO()
    noise.resize((pixels, pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def build(folder: Path, size: str, texts: Sequence[str], dtype: str, pixels: int) -> int:
    """Write a model folder with random weights; return its number of parameters."""
    if size == "tiny":
        model, processor = build_tiny(TinyModel(image_size=84), texts, seed=0)
    else:
        tokenizer = train_tokenizer(texts, 4096)
        processor = ImageOnlyProcessor(
            image_processor=image_processor(pixels, VISION_3B["patch_size"]), tokenizer=tokenizer
        )
        torch.set_default_dtype(getattr(torch, dtype))
        model = Qwen2_5_VLForConditionalGeneration(config_3b(tokenizer))
        torch.set_default_dtype(torch.float32)
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
    save_model(folder, model, processor)
    return sum(parameter.numel() for parameter in model.parameters())


def config_3b(tokenizer: Any) -> Qwen2_5_VLConfig:
    token = tokenizer.convert_tokens_to_ids
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return Qwen2_5_VLConfig(
        text_config={**TEXT_3B, **ends, "bos_token_id": None},
        vision_config=VISION_3B,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


class _Coin:
    """A judge that decides by lot, so that groups have variance."""

    def __init__(self) -> None:
        self._draw = random.Random(1)

    def __call__(self, answer: str | None, case: Case) -> bool:
        return self._draw.random() < 0.5


class _Watch(TrainerCallback):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ends.append(_now())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ends.append(_now())


def measure(folder: Path, recipe: AttendingRecipe, steps: int, pixels: int) -> dict[str, Any]:
    """Train `steps` steps from the model in `folder`; the first one, which warms up, is not timed.

    Returns seconds a step (all, and of the rollouts alone), bytes of GPU memory at the peak (0 on
    a CPU), and what was trained.
    """
    made = tasks(recipe.prompts_per_step * (steps + 1), pixels)
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    job = Job(made, _Coin(), folder, recipe, steps + 1, "hard", work / "out", work, None)
    trainer = make_trainer(job, load_processor(folder))
    trainer.args.save_strategy = "no"
    watch, rollouts = _Watch(), []
    trainer.add_callback(watch)
    roll_out = trainer._generate_and_score_completions

    def timed(inputs: Any) -> Any:
        began = _now()
        made = roll_out(inputs)
        rollouts.append(_now() - began)
        return made

    trainer._generate_and_score_completions = timed
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    seconds = [later - earlier for earlier, later in zip(watch.ends, watch.ends[1:], strict=False)]
    trained = [p.numel() for p in trainer.model.parameters() if p.requires_grad]
    return {
        "steps": len(seconds) - 1,
        "seconds_a_step": round(sum(seconds[1:]) / max(1, len(seconds) - 1), 3),
        "seconds_of_rollouts": round(sum(rollouts[1:]) / max(1, len(rollouts) - 1), 3),
        "peak_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        "trained_parameters": sum(trained),
        "completions_a_step": recipe.prompts_per_step * recipe.generations,
        "micro_batch": recipe.micro_batch,
        "max_new_tokens": recipe.max_new_tokens,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def run(size: str, steps: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Build the model, measure its training step. Raises `UsageError` where that cannot be done."""
    tiny = size == "tiny"
    whole = resolve("one-gpu", [*(TINY if tiny else ()), *overrides])
    recipe = whole.training.attending
    check_machine(recipe, "training.attending")
    if not tiny and not torch.cuda.is_available():
        raise UsageError("a step of the 3B model is measured on a CUDA GPU, and there is none here")
    pixels = 84 if tiny else whole.data.image_size
    texts = [part["text"] for task in tasks(4, 84) for part in _texts(task)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        parameters = build(folder, size, texts, whole.model.dtype, pixels)
        facts = measure(folder, recipe, steps, pixels)
    return {"model": size, "parameters": parameters, **facts}


def _texts(task: Task) -> list[dict[str, Any]]:
    return [part for part in task.prompt.messages[0]["content"] if part["type"] == "text"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("3b", "tiny"), default="3b")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    try:
        facts = run(arguments.model, arguments.steps, arguments.overrides)
    except MMedAgentError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    text = json.dumps(facts, indent=2)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
