"""The peft path with the tiny model: what is trained, saved, merged, resumed, and referred to."""

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.digests import digest_folder
from mmedagent.errors import UsageError
from mmedagent.models.load import load_model, load_processor
from mmedagent.recipes.scale import LoraRecipe
from mmedagent.recipes.training import TriageRecipe
from mmedagent.training import curves, grpo, loss
from mmedagent.training.checkpoints import last_checkpoint
from mmedagent.training.curves import read_curves
from mmedagent.training.grpo import Job, Task, make_trainer, train
from mmedagent.training.reward import names_specialty

RECIPE = TriageRecipe(
    prompts_per_step=3,
    generations=4,
    warmup_steps=0,
    learning_rate=3e-3,
    checkpoint_every=2,
    max_new_tokens=9,
    kl=0.02,
    lora=LoraRecipe(rank=4, alpha=8),
    freeze_vision=True,
)


@pytest.fixture(scope="module")
def tasks(draw_cases):
    return [
        Task(Prompt(triage_messages(case.view(), "compact"), case.images), case, 0.001, 0.02)
        for case in draw_cases(5, "train")
    ]


def _train(tasks, start, folder, steps=4, recipe=RECIPE):
    return train(
        tasks, names_specialty, start, recipe, steps,
        stage="triage", out=folder / "out", work=folder / "work",
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tasks, tiny_start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    _train(tasks, tiny_start, folder)
    return folder


def _trainer(tasks, start, work, recipe=RECIPE):
    job = Job(tasks, names_specialty, start, recipe, 4, "triage", work / "out", work, None)
    return make_trainer(job, load_processor(start))


@pytest.mark.parametrize("layers", [("q_proj", "v_proj"), LoraRecipe().layers])
def test_only_the_language_models_layers_get_adapters(tasks, tiny_start, tmp_path, layers):
    lora = LoraRecipe(rank=4, layers=layers)
    trainer = _trainer(tasks, tiny_start, tmp_path, RECIPE.model_copy(update={"lora": lora}))
    assert isinstance(trainer.model, PeftModel) and trainer.ref_model is None
    names = [name for name, value in trainer.model.named_parameters() if value.requires_grad]
    blocks = trainer.model.config.get_text_config().num_hidden_layers
    assert len(names) == blocks * len(layers) * 2  # A and B
    for name in names:
        assert ".language_model.layers." in name and "lora_" in name
        assert any(f".{layer}." in name for layer in layers)
    assert not any(
        "lora_" in name for name, _ in trainer.model.named_parameters() if "visual" in name
    )


def test_training_moves_the_adapted_layers_and_nothing_else(trained, tiny_start):
    start, out = (load_model(path).state_dict() for path in (tiny_start, trained / "out"))
    moved = {name for name, value in out.items() if not torch.equal(value, start[name])}
    assert moved and all(".language_model.layers." in name for name in moved)
    assert {name.split(".")[-2] for name in moved} == set(LoraRecipe().layers)


def test_published_are_plain_weights_with_the_adapters_beside(trained, tiny_start):
    assert "adapter" in [path.name for path in (trained / "out").iterdir()]
    config = json.loads((trained / "out/adapter/adapter_config.json").read_bytes())
    assert config["r"] == 4 and config["base_model_name_or_path"] is None
    adapters = load_file(trained / "out/adapter/adapter_model.safetensors")
    assert adapters and all("lora_" in name for name in adapters)
    merged, base = load_model(trained / "out"), load_model(tiny_start)
    with_adapters = PeftModel.from_pretrained(base, trained / "out/adapter")
    ids = torch.randint(300, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, theirs = merged(input_ids=ids).logits, with_adapters(input_ids=ids).logits
        with with_adapters.disable_adapter():
            plain = with_adapters(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - plain).abs().max() > 1e-3
    assert type(load_processor(trained / "out")) is type(load_processor(tiny_start))


def test_the_kl_begins_at_zero_and_grows(trained):
    kl = [record["kl"] for record in read_curves(trained / "out/curves.jsonl")]
    assert kl[0] == pytest.approx(0, abs=1e-7) and kl[-1] > 1e-6


def test_the_reference_is_the_model_without_its_adapters(tasks, tiny_start, tmp_path, monkeypatch):
    """In every step, the reference's log-probabilities are those of the Start, loaded anew."""
    start = load_model(tiny_start)
    compared = []
    original = loss.DoctorTrainer._compute_loss

    def compare(trainer, model, inputs):
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        length = inputs["completion_ids"].shape[1]
        with torch.no_grad():
            logits = start(
                input_ids=ids,
                attention_mask=mask,
                logits_to_keep=length + 1,
                **{name: inputs[name] for name in loss._MODEL_INPUTS},
            ).logits[:, :-1]
        scores = torch.log_softmax(logits / trainer.temperature, -1)
        expected = scores.gather(-1, inputs["completion_ids"].unsqueeze(-1)).squeeze(-1)
        alive = inputs["completion_mask"].bool()
        compared.append((inputs["ref_per_token_logps"] - expected)[alive].abs().max().item())
        return original(trainer, model, inputs)

    monkeypatch.setattr(loss.DoctorTrainer, "_compute_loss", compare)
    _train(tasks, tiny_start, tmp_path, steps=3)
    assert len(compared) == 3 and max(compared) < 1e-5


def test_another_reference_than_the_start_is_refused(tasks, tiny_start, tiny_base, tmp_path):
    folders = {"out": tmp_path / "out", "work": tmp_path / "work"}
    with pytest.raises(UsageError, match="without its adapters"):
        train(
            tasks, names_specialty, tiny_start, RECIPE, 1,
            stage="hard", reference=tiny_base, **folders,
        )  # fmt: skip


def test_a_training_that_died_goes_on_to_the_same_adapters(
    tasks, tiny_start, trained, tmp_path, monkeypatch
):
    class Died(BaseException):
        pass

    def die(self, args, state, control, **_):
        if state.global_step == 3:
            raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(curves.Progress, "on_log", die)
        _train(tasks, tiny_start, tmp_path)
    assert last_checkpoint(tmp_path / "work").name == "checkpoint-2"
    saved = load_file(tmp_path / "work/checkpoint-2/weights.safetensors")
    assert saved and all("lora_" in name for name in saved)  # the base is the Start: not kept twice
    _train(tasks, tiny_start, tmp_path)
    assert digest_folder(tmp_path / "out") == digest_folder(trained / "out")


def test_a_frozen_vision_tower_stays_and_the_rest_learns(tasks, tiny_start, tmp_path):
    recipe = RECIPE.model_copy(update={"lora": None})
    _train(tasks, tiny_start, tmp_path, steps=2, recipe=recipe)
    start, out = (load_model(path).state_dict() for path in (tiny_start, tmp_path / "out"))
    moved = {name for name, value in out.items() if not torch.equal(value, start[name])}
    assert "model.language_model.embed_tokens.weight" in moved
    assert not any("visual" in name for name in moved)


@pytest.mark.parametrize("lora", [None, RECIPE.lora])
def test_micro_batches_and_checkpointing_change_memory_and_not_the_step(
    tasks, tiny_start, tmp_path, monkeypatch, lora
):
    """The same rollouts (one seed, one start) give the same step of plain gradient descent."""
    original = grpo.grpo_config

    def descend(*arguments):
        args = original(*arguments)
        args.optim = "sgd"  # Adam's first step is a sign: it makes something of rounding errors
        return args

    monkeypatch.setattr(grpo, "grpo_config", descend)
    results = []
    for name, changes in {
        "whole": {},
        "parts": {"micro_batch": 3, "gradient_checkpointing": True},
        "tiles": {"micro_batch": 6},
    }.items():
        if name == "tiles":  # TRL's way, which a vocabulary of 150 000 words needs
            monkeypatch.setattr(loss, "WHOLE_LOGITS", 0)
        recipe = RECIPE.model_copy(update={"lora": lora, "learning_rate": 1.0, **changes})
        _train(tasks, tiny_start, tmp_path / name, steps=1, recipe=recipe)
        results.append(load_model(tmp_path / name / "out").state_dict())
    start = load_model(tiny_start).state_dict()
    steps = [torch.cat([(out[name] - start[name]).flatten() for name in start]) for out in results]
    assert steps[0].norm() > 1e-2
    for step in steps[1:]:
        assert (step - steps[0]).norm() < 1e-5 * steps[0].norm()


def test_half_precision_trains_float32_adapters_on_a_bfloat16_model(
    tasks, tiny_start, tmp_path, monkeypatch
):
    """What `one-gpu` does on its GPU, here on a CPU, which can compute in bfloat16 too."""
    monkeypatch.setattr(grpo, "check_machine", lambda recipe, where: None)
    recipe = RECIPE.model_copy(
        update={"dtype": "bfloat16", "gradient_checkpointing": True, "micro_batch": 4}
    )
    kinds = []
    made = grpo.make_trainer

    def look(*arguments):
        trainer = made(*arguments)
        for name, value in trainer.model.named_parameters():
            kinds.append(("lora_" in name, value.dtype, value.requires_grad))
        return trainer

    monkeypatch.setattr(grpo, "make_trainer", look)
    _train(tasks, tiny_start, tmp_path, steps=2, recipe=recipe)
    assert set(kinds) == {(True, torch.float32, True), (False, torch.bfloat16, False)}
    out = load_model(tmp_path / "out", dtype="auto")
    assert out.dtype == torch.bfloat16
    records = read_curves(tmp_path / "out/curves.jsonl")
    assert all(0 < record["grad_norm"] < 100 for record in records)
