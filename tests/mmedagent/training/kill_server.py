"""A warm process that forks a child for each trial: many kills cost one import of TRL.

It reads trials as lines of JSON and answers each with the child's exit status and output. A child
trains for real; where its trial says so, it sends itself a signal.
"""

import gc
import importlib
import importlib.util
import json
import os
import re
import signal
import sys
import time
import traceback
from functools import wraps
from pathlib import Path

import torch
from trl import GRPOTrainer

from mmedagent.cases.store import read_cases
from mmedagent.consultation.doctor import Prompt
from mmedagent.consultation.prompts import attending_messages
from mmedagent.errors import MMedAgentError
from mmedagent.models.load import load_model, load_processor
from mmedagent.models.save import save_model
from mmedagent.panel.table import read_opinions
from mmedagent.recipes.training import AttendingRecipe, SupervisedRecipe
from mmedagent.training import loop
from mmedagent.training.attending import train_stage
from mmedagent.training.completions import option_completion
from mmedagent.training.loss import DoctorTrainer
from mmedagent.training.supervised import Example, fit

STEPS = 7
_GRPO = {
    "steps": {"easy": 1, "medium": 1, "hard": STEPS},
    "prompts_per_step": 4,
    "generations": 4,
    "max_new_tokens": 9,
    "warmup_steps": 3,
    "checkpoint_every": 2,
}
_SUPERVISED = {"steps": STEPS, "batch_size": 6, "checkpoint_every": 2}


def attending(tables, start, out, work, recipe):
    """The attending's hard stage, cumulative: rows of all three tiers in one batch."""
    asked = AttendingRecipe.model_validate({**_GRPO, **recipe})
    places = [tables / name for name in ("cases", "opinions", "curriculum")]
    train_stage("hard", *places, start, asked, out, work)


def reused(tables, start, out, work, recipe):
    """The same, but each batch of rollouts is trained on twice before new ones are made."""
    built = GRPOTrainer.__init__

    def init(self, *arguments, args, **options):
        args.num_iterations = 2
        built(self, *arguments, args=args, **options)

    GRPOTrainer.__init__ = init
    attending(tables, start, out, work, recipe)


def warm(tables, start, out, work, recipe):
    """The supervised loop that warm starts share, on the attending's prompts."""
    said = read_opinions(tables / "opinions")
    examples = []
    for case in read_cases(tables / "cases", ["warm_start"]):
        messages = attending_messages(case.view(), said[case.case_id], "compact")
        completion = option_completion(case, case.letter)
        examples.append(Example(Prompt(messages, case.images), completion))
    model, processor = load_model(start), load_processor(start)
    asked = SupervisedRecipe.model_validate({**_SUPERVISED, **recipe})
    fit(model, processor, examples, asked, seed=0, work=work)
    save_model(out, model, processor)


JOBS = {"attending": attending, "reused": reused, "warm": warm}


def signal_at(where, nth=1, when="before", match="", kind="SIGKILL"):
    """Have this process send itself a signal at the `nth` call of `where` that fits `match`.

    `where`: `module:Class.function`. `match`: a pattern to find in the arguments' text. `when`:
    `before` the call; `after` it; `within` a backward pass; `cut`, after the call, when the file
    that is its last argument has been cut to a half: a write that was not finished.
    """
    module, _, path = where.partition(":")
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), []

    @wraps(original)
    def call(*arguments, **options):
        calls.append(re.search(match, " ".join(map(str, arguments))) is not None)
        if not calls[-1] or sum(calls) != nth:
            return original(*arguments, **options)
        if when == "before":
            _send(kind)
        if when == "within":
            arguments[1].register_hook(lambda _gradient: _send(kind))
        result = original(*arguments, **options)
        if when == "cut":
            os.truncate(arguments[-1], os.path.getsize(arguments[-1]) // 2)
        _send(kind)
        return result

    setattr(owner, name, call)


def _send(kind):
    os.kill(os.getpid(), getattr(signal, kind))


def run(trial):
    """Do one trial in this process and end it, with the exit code of a step of the DAG."""
    log = os.open(trial["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    made = []
    for owner, name in ((DoctorTrainer, "training_step"), (loop, "_step")):
        _count(owner, name, made)
    if trial["signal"]:
        signal_at(**trial["signal"])
    code = 0
    try:
        folders = {name: Path(trial[name]) for name in ("tables", "start", "out", "work")}
        JOBS[trial["job"]](**folders, recipe=trial["recipe"])
        print(f"made {len(made)} steps")
    except MMedAgentError as error:
        print(error)
        code = int(error.exit_code)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code)


def _count(owner, name, made):
    original = getattr(owner, name)

    def call(*arguments, **options):
        made.append(name)
        return original(*arguments, **options)

    setattr(owner, name, call)


def main():
    """Answer trials until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print there
    if importlib.util.find_spec("deepspeed"):  # accelerate imports it in the first step
        importlib.import_module("deepspeed")
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # children need not look through all of this again
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        trial = json.loads(line)
        child = os.fork()
        if child == 0:
            run(trial)
        if trial["kill_after"] is not None:
            time.sleep(trial["kill_after"])
            os.kill(child, signal.SIGKILL)  # it waits for us if it has ended
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        said = Path(trial["log"]).read_text()
        print(json.dumps({"code": code, "said": said}), file=answers, flush=True)


if __name__ == "__main__":
    main()
