"""What the tasks of the small pipeline do: as the recipe section `do` says."""

import os
import signal
import time
from typing import Any

from mmedagent.atomic import new_folder
from mmedagent.errors import BadDataError, InterruptedWithCheckpoint
from mmedagent.workdir import Step


def work(step: Step) -> dict[str, Any]:
    do = step.plan.recipe.get("do", "write")
    trace = os.environ.get("SMALL_TRACE")
    if trace:
        with open(trace, "a") as file:
            file.write(f"{step.plan.task} {time.time():.2f} {os.getpid()}\n")
    if do == "fail":
        raise BadDataError("row 3: answer 'x' is none of ['a', 'b']")
    if do == "crash":
        raise ZeroDivisionError("division by zero")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "train":
        _train(step)
    if do == "sleep":
        time.sleep(step.plan.recipe["seconds"])
    with new_folder(step.out) as folder:
        (folder / "ran.txt").write_text(step.plan.task)
    return {"did": do}


def _train(step: Step) -> None:
    """Count to ten with a checkpoint a step; stop in order when told to."""
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    checkpoint = step.work / "at.txt"
    at = int(checkpoint.read_text()) if checkpoint.exists() else 0
    (step.folder / "began.txt").open("a").write(f"{at}\n")
    while at < 10:
        at += 1
        checkpoint.write_text(str(at))
        time.sleep(float(step.plan.recipe.get("seconds", 0.3)))
        if told:
            raise InterruptedWithCheckpoint(f"stopped at step {at} of 10")
