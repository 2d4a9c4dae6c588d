import json
import math

import pytest
import torch
from pydantic import ValidationError

from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import triage_messages
from mmedagent.errors import BrokenEvidenceError
from mmedagent.models.base import build_base
from mmedagent.models.inputs import encode
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.models.tiny import build_tiny
from mmedagent.recipes.model import ModelRecipe, TinyModel


@pytest.fixture
def inputs(tiny_base, draw_cases):
    prompts = [
        Prompt(triage_messages(case.view(), "compact"), case.images)
        for case in draw_cases(5, "test")
    ]
    return encode(load_processor(tiny_base), prompts)


def test_same_seed_same_weights_and_the_callers_random_state_is_left():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, _ = build_tiny(TinyModel(), ["one two"], seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    second, _ = build_tiny(TinyModel(), ["one two", "one two"], seed=3)
    other, _ = build_tiny(TinyModel(), ["one two"], seed=4)
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_initialisation_scales():
    model, _ = build_tiny(TinyModel(), ["a corpus of some words"], seed=0)
    assert model.get_input_embeddings().weight.std().item() == pytest.approx(0.1, rel=0.05)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "embed_tokens" not in name:
            wanted = 1 / math.sqrt(parameter[0].numel())
            assert parameter.std().item() == pytest.approx(wanted, rel=0.05), name


def test_an_84_pixel_image_is_nine_tokens(inputs):
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 6]] * 5
    assert (inputs["mm_token_type_ids"] == 1).sum(1).tolist() == [9] * 5


def test_rotary_sections_fill_half_a_head(tiny_base):
    text = json.loads((tiny_base / "config.json").read_text())["text_config"]
    half = text["hidden_size"] // text["num_attention_heads"] // 2
    assert sum(text["rope_parameters"]["mrope_section"]) == half


def test_saved_and_loaded_gives_the_same_logits_bytes_and_files(tiny_base, inputs, tmp_path):
    model, processor = load_model(tiny_base), load_processor(tiny_base)
    digest = save_model(tmp_path / "copy", model, processor)
    again = load_model(tmp_path / "copy")
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, again(**inputs).logits)
    assert save_model(tmp_path / "twice", again, load_processor(tmp_path / "copy")) == digest
    files = {path.name for path in (tmp_path / "copy").iterdir()}
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert str(tmp_path) not in (tmp_path / "copy" / "config.json").read_text()


def test_a_failed_save_leaves_what_was_there(tiny_base, tmp_path, monkeypatch):
    model, processor = load_model(tiny_base), load_processor(tiny_base)
    digest = save_model(tmp_path / "model", model, processor)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processor, "save_pretrained", full)
    with pytest.raises(OSError, match="No space"):
        save_model(tmp_path / "model", model, processor)
    from mmedagent.digests import digest_folder

    assert digest_folder(tmp_path / "model") == digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("broken", ["missing", "truncated", "no_tokenizer", "not_json"])
def test_a_broken_folder_is_broken_evidence(tiny_base, tmp_path, broken):
    import shutil

    folder = tmp_path / "model"
    if broken != "missing":
        shutil.copytree(tiny_base, folder)
    if broken == "truncated":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
    if broken == "no_tokenizer":
        (folder / "tokenizer.json").unlink()
    if broken == "not_json":
        (folder / "config.json").write_text("{")
    with pytest.raises(BrokenEvidenceError, match=str(folder)):
        load_processor(folder) if broken == "no_tokenizer" else load_model(folder)


def test_an_unknown_hub_id_is_broken_evidence_offline():
    with pytest.raises(BrokenEvidenceError, match="nobody/nothing"):
        load_model("nobody/nothing")


@pytest.mark.parametrize(
    ("field", "value"), [("hidden_size", 72), ("image_size", 90), ("heads", 5)]
)
def test_a_shape_that_does_not_fit_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        TinyModel(**{field: value})


def test_base_learns_words_from_no_measured_pool(tmp_path, draw_cases):
    from mmedagent.cases.store import write_cases

    cases = draw_cases(12, "train") + draw_cases(12, "warm_start") + draw_cases(12, "panel")
    test = [
        case.model_copy(update={"question": "Qwertyish question?"})
        for case in draw_cases(12, "test") + draw_cases(12, "validation")
    ]
    write_cases(tmp_path / "cases", "drawn", cases + test)
    facts = build_base(ModelRecipe(), tmp_path / "cases", tmp_path / "base")
    assert facts == build_base(ModelRecipe(), tmp_path / "cases", tmp_path / "again")
    tokenizer = load_processor(tmp_path / "base").tokenizer
    assert len(tokenizer(" dermoscopy")["input_ids"]) == 1
    assert len(tokenizer("Qwertyish")["input_ids"]) > 1


def test_a_pretrained_base_is_copied_in_the_precision_asked_for(tiny_base, tmp_path):
    recipe = ModelRecipe(kind="pretrained", path=str(tiny_base), dtype="bfloat16")
    build_base(recipe, tmp_path, tmp_path / "out")
    theirs, ours = load_model(tiny_base), load_model(tmp_path / "out", dtype="auto")
    assert ours.dtype == torch.bfloat16 and load_model(tmp_path / "out").dtype == torch.float32
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value.bfloat16())
    tokenizers = [load_processor(path).tokenizer for path in (tiny_base, tmp_path / "out")]
    assert tokenizers[0].get_vocab() == tokenizers[1].get_vocab()


def test_a_pretrained_base_that_is_not_there_is_not_fetched_unasked(tmp_path):
    recipe = ModelRecipe(kind="pretrained", path="nobody/nothing-of-that-name")
    with pytest.raises(BrokenEvidenceError, match="local_files_only=false"):
        build_base(recipe, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
