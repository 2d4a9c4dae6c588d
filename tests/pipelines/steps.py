"""What the tasks of the small pipeline do: as their recipe says."""

import os
import signal
import time
from typing import Any

from mmedagent.atomic import new_folder
from mmedagent.errors import BadDataError, InterruptedWithCheckpoint
from mmedagent.workdir import Step, work_folder


def work(step: Step) -> dict[str, Any]:
    do = step.plan.recipe.get("do", "write")
    with (work_folder() / "trace.txt").open("a") as file:
        file.write(f"{step.plan.task}\n")
    began = time.time()
    if do == "fail":
        raise BadDataError("row 3: answer 'x' is none of ['a', 'b']")
    if do == "crash":
        raise ZeroDivisionError("division by zero")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "full":
        with open("/dev/full", "w") as file:
            file.write("no room")
    if do == "train":
        _train(step)
    with new_folder(step.out) as folder:
        (folder / "ran.txt").write_text(step.plan.task)
    return {"did": do, "from": began, "to": time.time()}


def _train(step: Step) -> None:
    """Count to ten with a checkpoint a step; stop in order when told to."""
    told: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    checkpoint = step.work / "at.txt"
    at = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with (work_folder() / "trace.txt").open("a") as file:
        file.write(f"{step.plan.task} from {at}\n")
    while at < 10:
        at += 1
        checkpoint.write_text(str(at))
        time.sleep(float(step.plan.recipe["seconds"]))
        if told:
            raise InterruptedWithCheckpoint(f"stopped at {at} of 10")
