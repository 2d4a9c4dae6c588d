"""The format itself: what is kept comes back equal, and what was damaged is named and refused."""

import json
import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmedagent.errors import BrokenEvidenceError, ExitCode
from mmedagent.training.checkpoint_folder import (
    MANIFEST,
    last_checkpoint,
    new_checkpoint,
    read_checkpoint,
    remove_leftovers,
)
from mmedagent.training.randomness import random_states, set_random_states
from mmedagent.training.tensor_files import load_state, load_weights, save_state, save_weights

FINGERPRINT = {"start": "aa", "recipe": {"learning_rate": 0.1, "betas": (0.9, 0.99)}}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
def checkpoint(tmp_path):
    with new_checkpoint(tmp_path, 4, FINGERPRINT, stage="hard") as aside:
        (aside / "a.bin").write_bytes(bytes(range(200)))
        (aside / "inner").mkdir()
        (aside / "inner/b.txt").write_text("b")
    return tmp_path / "checkpoint-4"


def _refused(folder, fingerprint=FINGERPRINT):
    with pytest.raises(BrokenEvidenceError) as refused:
        read_checkpoint(folder, fingerprint)
    assert refused.value.exit_code == ExitCode.BROKEN_EVIDENCE
    assert f"elete {folder} to train from the start" in str(refused.value)
    return str(refused.value)


def test_what_was_written_is_found_and_read(checkpoint, tmp_path):
    assert last_checkpoint(tmp_path) == checkpoint
    manifest = read_checkpoint(checkpoint, FINGERPRINT)
    assert (manifest["step"], manifest["stage"]) == (4, "hard")
    assert sorted(manifest["files"]) == ["a.bin", "inner/b.txt"]


@pytest.mark.parametrize("kept", [0, 1, 199])
def test_a_truncated_file_is_named_with_both_sizes(checkpoint, kept):
    (checkpoint / "a.bin").write_bytes(bytes(range(kept)))
    said = _refused(checkpoint)
    assert f"{checkpoint}/a.bin: it has {kept} bytes" in said and "has 200 bytes" in said


def test_a_changed_or_missing_file_is_named(checkpoint):
    (checkpoint / "a.bin").write_bytes(bytes(range(1, 201)))
    assert re.search(
        r"a\.bin: it has 200 bytes \(sha256 \w+\), where .* 200 bytes", _refused(checkpoint)
    )
    (checkpoint / "a.bin").unlink()
    assert "a.bin: it is missing" in _refused(checkpoint)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 2, "digest": "x"}'])
def test_a_broken_manifest_is_refused(checkpoint, text):
    (checkpoint / MANIFEST).write_text(text)
    assert str(checkpoint / MANIFEST) in _refused(checkpoint)


def test_an_edited_or_absent_manifest_is_refused(checkpoint):
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    (checkpoint / MANIFEST).write_text(json.dumps({**manifest, "step": 40}))
    assert "changed after it was written" in _refused(checkpoint)
    (checkpoint / MANIFEST).unlink()
    assert "it is missing" in _refused(checkpoint)


def test_another_training_s_checkpoint_is_refused_with_both_values(checkpoint):
    said = _refused(
        checkpoint, {"start": "bb", "recipe": {"learning_rate": 0.2, "betas": (0.9, 0.99)}}
    )
    assert str(checkpoint / MANIFEST) in said
    assert "start is 'aa' there and 'bb' here" in said
    assert "recipe.learning_rate is 0.1 there and 0.2 here" in said
    assert "betas" not in said
    assert "recipe is {" in _refused(checkpoint, {"start": "aa"})
    many = _refused(checkpoint, {**FINGERPRINT, **{f"field{n}": n for n in range(7)}})
    assert "field0 is None there and 0 here" in many and "and 2 more" in many


def test_only_the_newest_stays_and_leftovers_of_a_kill_go(checkpoint, tmp_path):
    (tmp_path / ".checkpoint-4.aaaa.aside").mkdir()
    (tmp_path / ".checkpoint-2.old").mkdir()
    (tmp_path / "curves.jsonl").touch()
    with new_checkpoint(tmp_path, 6, FINGERPRINT) as aside:
        (aside / "a").touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-6", "curves.jsonl"]


def test_an_error_while_writing_leaves_what_was_there(checkpoint, tmp_path):
    with pytest.raises(OSError), new_checkpoint(tmp_path, 6, FINGERPRINT):
        raise OSError("disk full")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]
    read_checkpoint(checkpoint, FINGERPRINT)


@settings(deadline=None)
@given(state=STATES)
def test_any_state_comes_back_equal_and_of_the_same_types(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("state")
    save_state(folder, "x", state)
    assert repr(load_state(folder, "x")) == repr(state)


def test_tensors_and_an_optimiser_s_state_come_back_bit_for_bit(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.8, 0.9))
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save_state(tmp_path, "optimizer", optimizer.state_dict())
    found = load_state(tmp_path, "optimizer")
    expected = optimizer.state_dict()
    assert found["param_groups"] == expected["param_groups"] and found["state"].keys() == {0, 1}
    for index, entry in expected["state"].items():
        assert all(torch.equal(found["state"][index][name], entry[name]) for name in entry)
    odd = {"half": torch.ones(2, dtype=torch.bfloat16), "bytes": torch.arange(3, dtype=torch.uint8)}
    save_state(tmp_path, "odd", odd)
    found = load_state(tmp_path, "odd")
    assert all(torch.equal(found[n], odd[n]) and found[n].dtype == odd[n].dtype for n in odd)


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1, 2): 3}, b"x"])
def test_what_needs_pickle_is_refused_by_its_path(tmp_path, value):
    with pytest.raises(TypeError, match=r"x\.inner\.0"):
        save_state(tmp_path, "x", {"inner": [value]})


def test_every_generator_goes_on_where_it_was(tmp_path):
    def draw():
        return random.gauss(0, 1), np.random.normal(), torch.randn(1).item()

    draw()  # the Gaussian generators keep a second number for the next call
    save_state(tmp_path, "random", random_states())
    expected = [draw() for _ in range(3)]
    set_random_states(load_state(tmp_path, "random"))
    assert [draw() for _ in range(3)] == expected


def test_frozen_parameters_are_left_out_and_other_models_refused(tmp_path):
    def model():
        return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))

    first, second = model(), model()
    for each in (first, second):
        each[0].weight.requires_grad_(False)
    first[1].running_mean += 1
    save_weights(tmp_path, first)
    load_weights(tmp_path, second)
    assert not torch.equal(first[0].weight, second[0].weight)
    assert torch.equal(first[0].bias, second[0].bias)
    assert torch.equal(first[1].running_mean, second[1].running_mean)
    with pytest.raises(BrokenEvidenceError, match="such as 0.weight"):
        load_weights(tmp_path, model())
