"""What says how training is spread reaches TRL and DeepSpeed; what a machine lacks is said."""

from pathlib import Path

import pytest

from mmedagent.errors import UsageError
from mmedagent.recipes.resolve import resolve
from mmedagent.recipes.scale import DeepSpeedRecipe, LoraRecipe, VllmRecipe
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import machine, settings
from mmedagent.training.machine import check_machine
from mmedagent.training.settings import grpo_config
from mmedagent.training.tasks import prompt_order


def _config(tmp_path: Path, **fields):
    return grpo_config(TriageRecipe(**fields), 7, 0.01, tmp_path)


def test_the_laptops_settings_are_the_papers_loss_on_a_cpu(tmp_path):
    args = _config(tmp_path)
    assert (args.loss_type, args.use_bias_correction_kl, args.beta) == ("grpo", False, 0.01)
    assert args.per_device_train_batch_size == 16 * 8 and args.gradient_accumulation_steps == 1
    assert args.deepspeed is None and not args.use_vllm and not args.bf16
    assert not args.gradient_checkpointing and not args.shuffle_dataset and args.max_steps == 7


def test_micro_batches_are_accumulated_to_the_whole_step(tmp_path):
    args = _config(tmp_path, micro_batch=32, gradient_checkpointing=True)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (32, 4)
    assert args.steps_per_generation == 4 and args.generation_batch_size == 128
    assert args.gradient_checkpointing


@pytest.mark.parametrize("stage", [2, 3])
@pytest.mark.parametrize("offload", [False, True])
def test_zero_is_configured_as_the_recipe_says(stage, offload):
    zero = DeepSpeedRecipe(
        stage=stage, offload_optimizer=offload, offload_weights=offload and stage == 3
    )
    recipe = TriageRecipe(deepspeed=zero, dtype="bfloat16", max_grad_norm=0.7)
    config = settings._deepspeed(zero, recipe)
    optimization = config["zero_optimization"]
    assert optimization["stage"] == stage and config["gradient_clipping"] == 0.7
    assert config["bf16"] == {"enabled": True}
    assert ("offload_optimizer" in optimization) is offload
    assert ("offload_param" in optimization) is (offload and stage == 3)
    assert optimization.get("stage3_gather_16bit_weights_on_model_save", False) is (stage == 3)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (
            VllmRecipe(memory_share=0.4, tensor_parallel=2),
            {
                "vllm_mode": "colocate",
                "vllm_gpu_memory_utilization": 0.4,
                "vllm_tensor_parallel_size": 2,
                "vllm_importance_sampling_mode": "sequence_mask",
                "vllm_importance_sampling_clip_max": 3.0,
            },
        ),
        (
            VllmRecipe(mode="server", server_url="http://vllm:8000", correction="none"),
            {
                "vllm_mode": "server",
                "vllm_server_base_url": "http://vllm:8000",
                "vllm_importance_sampling_correction": False,
            },
        ),
    ],
)
def test_vllm_is_configured_as_the_recipe_says(tmp_path, recipe, expected):
    args = _config(tmp_path, vllm=recipe)
    assert args.use_vllm and not args.vllm_enable_sleep_mode
    assert {name: getattr(args, name) for name in expected} == expected


def test_the_order_of_prompts_does_not_depend_on_how_training_is_spread():
    plain = TriageRecipe(prompts_per_step=8)
    spread = plain.model_copy(update={"processes": 4, "micro_batch": 2})
    assert prompt_order([1.0] * 11, plain, 5) == prompt_order([1.0] * 11, spread, 5)


# What a machine must have.


def _machine(monkeypatch, gpus, packages=()):
    monkeypatch.setattr(machine, "count_gpus", lambda: gpus)
    monkeypatch.setattr(machine, "find_spec", lambda name: name in packages or None)


def test_the_laptop_recipe_runs_anywhere(monkeypatch):
    _machine(monkeypatch, 0)
    recipe = resolve("laptop").training
    check_machine(recipe.triage, "training.triage")
    check_machine(recipe.attending, "training.attending")


@pytest.mark.parametrize(
    ("fields", "gpus", "packages", "said"),
    [
        ({"lora": LoraRecipe(), "freeze_vision": True, "dtype": "bfloat16"}, 0, (), "CUDA GPU"),
        ({"vllm": VllmRecipe()}, 8, (), "not installed"),
        ({"vllm": VllmRecipe()}, 0, ("vllm",), "CUDA GPUs and there is none"),
        ({"processes": 4}, 2, (), "has 2 CUDA GPUs"),
        ({"deepspeed": DeepSpeedRecipe()}, 1, (), "deepspeed is not installed"),
    ],
)
def test_what_a_machine_lacks_is_said_with_the_way_round(monkeypatch, fields, gpus, packages, said):
    _machine(monkeypatch, gpus, packages)
    with pytest.raises(UsageError) as caught:
        check_machine(TriageRecipe(**fields), "training.triage")
    assert said in str(caught.value) and "--set training.triage." in str(caught.value)


@pytest.mark.parametrize("name", ["one-gpu", "cluster"])
def test_the_ways_round_that_are_named_lead_to_a_dry_run(monkeypatch, name):
    """Following one message after the other, a recipe for GPUs ends up fit for a CPU."""
    _machine(monkeypatch, 0, ("deepspeed",))
    overrides: list[str] = []
    for _ in range(4):
        try:
            check_machine(resolve(name, overrides).training.triage, "training.triage")
            break
        except UsageError as error:
            overrides.append(str(error).rsplit("--set ", 1)[1])
    else:
        pytest.fail(f"{name}: {overrides} are not enough")
    assert overrides


def test_enough_gpus_are_enough(monkeypatch):
    _machine(monkeypatch, 8, ("deepspeed", "vllm"))
    for name in ("one-gpu", "cluster"):
        check_machine(resolve(name).training.attending, "training.attending")
