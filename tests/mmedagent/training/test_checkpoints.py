"""When checkpoints are written: at rollout boundaries, whatever asks for one in between."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DefaultFlowCallback, TrainerControl, TrainerState, TrainingArguments

from mmedagent.errors import MMedAgentError
from mmedagent.interrupt import StopRequest
from mmedagent.training.checkpoints import AtomicCheckpoints, StopWithCheckpoint


def _walk(tmp_path, steps, every, period, accumulation, asked_at):
    """Return the steps after which a trainer would save, and the one after which it would end."""
    args = TrainingArguments(
        output_dir=str(tmp_path), save_steps=every, use_cpu=True,
        gradient_accumulation_steps=accumulation,
    )  # fmt: skip
    args.steps_per_generation, args.num_iterations = accumulation, period
    state, request = TrainerState(max_steps=steps, save_steps=every), StopRequest()
    control = TrainerControl()
    callbacks = [DefaultFlowCallback(), StopWithCheckpoint(request)]
    saved = []
    for step in range(1, steps + 1):
        state.global_step = step
        request.asked |= step == asked_at
        for callback in callbacks:
            callback.on_step_end(args, state, control)
        if control.should_save:
            saved.append(step)
            control.should_save = False
        if control.should_training_stop:
            return saved, step
    raise AssertionError("it never ended")


@settings(deadline=None)  # the first arguments object looks for devices
@given(
    steps=st.integers(1, 20),
    every=st.integers(1, 7),
    period=st.integers(1, 4),
    accumulation=st.integers(1, 3),
    asked_at=st.none() | st.integers(1, 20),
)
def test_saves_and_stops_wait_for_the_next_boundary(
    tmp_path_factory, steps, every, period, accumulation, asked_at
):
    folder = tmp_path_factory.getbasetemp()
    saved, end = _walk(folder, steps, every, period, accumulation, asked_at)
    boundaries = {step for step in range(1, steps + 1) if step % period == 0} | {steps}

    def at_or_after(step):
        return min(boundary for boundary in boundaries if boundary >= step)

    assert end == (at_or_after(asked_at) if asked_at and asked_at <= steps else steps)
    due = {at_or_after(step) for step in range(every, end + 1, every)} | {end}
    assert saved == sorted(step for step in due if step <= end)


def test_a_save_between_boundaries_is_an_error_and_not_a_bad_checkpoint():
    args = SimpleNamespace(steps_per_generation=2, num_iterations=2)
    state = SimpleNamespace(global_step=3, max_steps=8)
    trainer = SimpleNamespace(args=args, state=state, _step=6)
    trainer._waiting_rollouts = lambda: AtomicCheckpoints._waiting_rollouts(trainer)
    with pytest.raises(MMedAgentError, match="step 3: rollouts wait to be trained on"):
        AtomicCheckpoints._save_checkpoint(trainer, None, None)
    trainer._step = 8
    assert not trainer._waiting_rollouts()
