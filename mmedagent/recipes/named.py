"""The named recipes. A recipe is a function that returns a typed, spelt-out config."""

from collections.abc import Callable
from typing import Any

from mmedagent.consultation.doctor import Sampling
from mmedagent.recipes.baselines import BaselinesRecipe
from mmedagent.recipes.data import DataRecipe, ValidationRecipe
from mmedagent.recipes.evaluation import EvaluationRecipe
from mmedagent.recipes.gate import GateRecipe
from mmedagent.recipes.model import ModelRecipe
from mmedagent.recipes.panel import (
    CurriculumRecipe,
    PanelRecipe,
    PanelTrainingRecipe,
    SpecialistRecipe,
)
from mmedagent.recipes.scale import DeepSpeedRecipe, LoraRecipe, VllmRecipe
from mmedagent.recipes.schema import Recipe, Training, WarmStarts
from mmedagent.recipes.serving import ServingRecipe
from mmedagent.recipes.training import (
    AttendingRecipe,
    StageSteps,
    SupervisedRecipe,
    TriageRecipe,
    WarmStartRecipe,
)


def laptop() -> Recipe:
    """The whole DAG on two CPU cores in minutes: a tiny model of the real class, starter images."""
    return Recipe(
        name="laptop",
        data=DataRecipe(),
        validation=ValidationRecipe(),
        model=ModelRecipe(),
        panel=PanelRecipe(),
        panel_training=PanelTrainingRecipe(),
        curriculum=CurriculumRecipe(),
        warm_start=WarmStarts(
            triage=WarmStartRecipe(cases=120, fit=SupervisedRecipe(steps=30)),
            attending=WarmStartRecipe(fit=SupervisedRecipe(steps=80)),
        ),
        training=Training(triage=TriageRecipe(), attending=AttendingRecipe()),
        baselines=BaselinesRecipe(),
        evaluation=EvaluationRecipe(),
        gate=GateRecipe(),
        serving=ServingRecipe(),
    )


_FULL_REPLY = 512
"""Tokens of a reasoned reply of a pretrained model, at most. The paper gives no figure."""


def one_gpu() -> Recipe:
    """One GPU of 80 GB: Qwen2.5-VL-3B, adapters on the language model, vision tower frozen.

    The coefficients are the paper's, the stages cumulative (ours), the budget what a day allows.
    """
    spread: dict[str, Any] = {
        "lora": LoraRecipe(),
        "freeze_vision": True,
        "dtype": "bfloat16",
        "gradient_checkpointing": True,
        "micro_batch": 8,
        "prompts_per_step": 16,
        "learning_rate": 2e-5,
        "schedule": "constant",
    }
    return _pretrained(
        "one-gpu",
        model=ModelRecipe(
            kind="pretrained",
            path="Qwen/Qwen2.5-VL-3B-Instruct",
            revision="66285546d2b821cf421d4f5eb2576359d3770cd3",
            dtype="bfloat16",
            style="full",
        ),
        panel=_open_panel("http://127.0.0.1:{port}/v1", SMALL_PANEL),
        triage=TriageRecipe(steps=100, **_full(**spread)),
        attending=AttendingRecipe(steps=StageSteps(easy=20, medium=60, hard=60), **_full(**spread)),
    )


def cluster() -> Recipe:
    """The paper's: Qwen2.5-VL-7B, all weights, on eight GPUs of 80 GB in one machine.

    From METHOD, section 'Training': 128 prompts of 8 rollouts, learning rate 1e-6, temperature 1,
    plain stages, all groups kept. Not given there, so ours: steps, reply length, warm-up.
    """
    spread: dict[str, Any] = {
        "dtype": "bfloat16",
        "gradient_checkpointing": True,
        "micro_batch": 8,
        "processes": 8,
        "deepspeed": DeepSpeedRecipe(stage=3),
        "vllm": VllmRecipe(),
        "prompts_per_step": 128,
        "learning_rate": 1e-6,
        "schedule": "constant",
        "drop_groups_without_variance": False,
    }
    return _pretrained(
        "cluster",
        model=ModelRecipe(
            kind="pretrained",
            path="Qwen/Qwen2.5-VL-7B-Instruct",
            revision="cc594898137f460bfe9f0759e9844b3ce807cfb5",
            dtype="bfloat16",
            style="full",
        ),
        panel=_open_panel("http://{name}.mmedagent-panel.svc:8000/v1", LARGE_PANEL),
        triage=TriageRecipe(steps=80, **_full(**spread)),
        attending=AttendingRecipe(
            steps=StageSteps(easy=40, medium=80, hard=40),
            stages="plain",
            **_full(**spread),
        ),
    )


SMALL_PANEL = {
    "qwen2.5-vl-7b": "Qwen/Qwen2.5-VL-7B-Instruct",
    "internvl3-8b": "OpenGVLab/InternVL3-8B",
    "medgemma-4b": "google/medgemma-4b-it",
}
"""Open-weight specialists that one further GPU can serve: name -> Hugging Face id."""
LARGE_PANEL = {
    "qwen2.5-vl-72b": "Qwen/Qwen2.5-VL-72B-Instruct",
    "internvl3-78b": "OpenGVLab/InternVL3-78B",
    "medgemma-27b": "google/medgemma-27b-it",
}
"""Open-weight specialists of the size that the paper's panel had."""


def _open_panel(endpoint: str, models: dict[str, str]) -> PanelRecipe:
    """Return a panel of open-weight models behind OpenAI endpoints: no image leaves the house."""
    specialists = tuple(
        SpecialistRecipe(
            name=name, model=model, endpoint=endpoint.format(name=_service(name), port=8001 + place)
        )
        for place, (name, model) in enumerate(models.items())
    )
    return PanelRecipe(
        specialists=specialists,
        style="full",
        sampling=Sampling(max_new_tokens=_FULL_REPLY),
        concurrency=64,
        timeout_seconds=300.0,
    )


def _service(name: str) -> str:
    return name.replace(".", "-")


def _full(**spread: Any) -> dict[str, Any]:
    """Return the fields that both doctors of a pretrained recipe train with."""
    return {
        "style": "full",
        "max_new_tokens": _FULL_REPLY,
        "max_grad_norm": 1.0,
        "betas": (0.9, 0.999),
        "warmup_steps": 5,
        "checkpoint_every": 10,
        **spread,
    }


def _pretrained(
    name: str,
    model: ModelRecipe,
    panel: PanelRecipe,
    triage: TriageRecipe,
    attending: AttendingRecipe,
) -> Recipe:
    """Return a recipe whose Start is the pretrained model itself, as in the paper."""
    untouched = WarmStartRecipe(
        fit=SupervisedRecipe(steps=0), style="full", max_new_tokens=_FULL_REPLY
    )
    return Recipe(
        name=name,
        data=DataRecipe(image_size=336),
        validation=ValidationRecipe(),
        model=model,
        panel=panel,
        panel_training=PanelTrainingRecipe(),
        curriculum=CurriculumRecipe(),
        warm_start=WarmStarts(triage=untouched, attending=untouched),
        training=Training(triage=triage, attending=attending),
        evaluation=EvaluationRecipe(style="full", max_new_tokens=_FULL_REPLY, batch_size=32),
        gate=GateRecipe(),
        serving=ServingRecipe(),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "laptop": laptop,
    "one-gpu": one_gpu,
    "cluster": cluster,
}
"""Every recipe that `--recipe` accepts."""
