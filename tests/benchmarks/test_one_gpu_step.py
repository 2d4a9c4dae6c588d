"""The measurement of the `one-gpu` step: for real on a GPU, and as far as a CPU can follow."""

import json
import sys

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from benchmarks import one_gpu_step
from mmedagent.models.tokenizer import train_tokenizer
from mmedagent.recipes.resolve import resolve

HAS_GPU = torch.cuda.is_available()


def test_the_3b_architecture_is_the_published_one():
    """Its number of parameters, on a device that allocates none: 3.75 billion."""
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(
            one_gpu_step.config_3b(train_tokenizer(["a"], 10))
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_754_622_976


def test_the_tiny_model_goes_through_the_recipe_on_a_cpu():
    facts = one_gpu_step.run("tiny", 1, [])
    assert facts["steps"] == 1 and facts["seconds_a_step"] > facts["seconds_of_rollouts"] > 0
    assert facts["completions_a_step"] == 16 and facts["micro_batch"] == 4
    rank = resolve("one-gpu").training.attending.lora.rank
    assert 0 < facts["trained_parameters"] < facts["parameters"] and rank == 32


@pytest.mark.skipif(HAS_GPU, reason="there is a CUDA GPU")
@pytest.mark.parametrize("overrides", [[], ["--set", "training.attending.dtype=float32"]])
def test_without_a_gpu_one_line_says_so(monkeypatch, capsys, overrides):
    monkeypatch.setattr(sys, "argv", ["one_gpu_step.py", *overrides])
    assert one_gpu_step.main() == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1 and "CUDA GPU" in said.err and not said.out


@pytest.mark.slow
@pytest.mark.skipif(not HAS_GPU, reason="needs a CUDA GPU of 80 GB: none is here")
def test_a_step_of_the_3b_model_fits_on_one_gpu():
    facts = one_gpu_step.run("3b", 1, ["training.attending.max_new_tokens=128"])
    print(json.dumps(facts))
    assert facts["parameters"] == 3_754_622_976
    assert 0 < facts["peak_bytes"] < 80e9
