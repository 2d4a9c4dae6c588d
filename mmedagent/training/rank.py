"""`torchrun -m mmedagent.training.rank FOLDER`: one of the processes of a training."""

import fcntl
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

from mmedagent import progress
from mmedagent.errors import InterruptedWithCheckpoint
from mmedagent.training import launch

_SECONDS_BETWEEN_LOOKS = 0.5


def main() -> int:
    """Take part in the training that lies in a folder; 0 when it ended, or stopped as asked."""
    folder = Path(sys.argv[1])
    rank = int(os.environ["RANK"])
    threading.Thread(target=_end_with_launcher, args=(folder / launch.ALIVE,), daemon=True).start()
    # DeepSpeed calls what newer PyTorch has other names for, in every step.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    if rank:
        os.environ.pop(progress.VARIABLE, None)  # one voice
    try:
        from mmedagent.training.grpo import train_here

        job = launch.read_job(folder)
        join(deepspeed=job.recipe.deepspeed is not None)
        facts = train_here(job)
        if rank == 0:
            launch.report_facts(folder, facts)
    except BaseException as error:
        launch.report_error(folder, rank, error)
        if isinstance(error, InterruptedWithCheckpoint):
            return 0
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # an ordinary exit would wait for partners that may wait for us
    return 0


def join(deepspeed: bool) -> None:
    """Meet the other ranks: gloo over loopback on a CPU; on GPUs `Trainer` does it, by NCCL."""
    import torch

    if torch.cuda.is_available():
        return
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if deepspeed:
        os.environ["DS_ACCELERATOR"] = "cpu"
        from deepspeed import init_distributed, ops

        # Or it would compile its own exchange over shared memory first, if there is a compiler.
        ops.__compatible_ops__ = {}
        init_distributed("gloo")  # or it would look for MPI and oneCCL


def _end_with_launcher(lock: Path) -> None:
    """End at once when the launcher's lock is free: it is gone, and nobody waits for us."""
    torchrun = os.getppid()
    with lock.open() as file:
        while os.getppid() == torchrun:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
