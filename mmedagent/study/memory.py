"""How many workers fit: the memory that may be used, and what one worker was seen to use."""

import resource
from pathlib import Path

import psutil

from mmedagent.errors import UsageError

GIB = 1024**3
ASSUMED_BYTES = GIB
"""Taken for one worker's need until one has been measured."""
DEFAULT_SHARE = 0.7
"""Of the memory that is free when the study starts."""
_UNITS = {"": GIB, "K": 1024, "M": 1024**2, "G": GIB, "T": 1024**4}
_UNLIMITED = 1 << 60


def read_size(text: str) -> int:
    """Return the bytes that `text` means: `6G`, `1500M`, `2.5` (GiB).

    Raises `UsageError` when it is no size.
    """
    clean = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = clean[-1:] if clean[-1:] in _UNITS else ""
    try:
        size = float(clean.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        size = 0.0
    if not 0 < size < _UNLIMITED:
        raise UsageError(f"--memory {text!r}: write a size such as 6G or 1500M")
    return int(size)


def free_bytes() -> int:
    """Return the memory that is free: the machine's, or less where a control group limits it."""
    return min(int(psutil.virtual_memory().available), _group_headroom())


def peak_bytes() -> int:
    """Return the most memory that this process has held at once.

    Linux keeps the maximum that `getrusage` tells across exec, so that it may be the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def workers_that_fit(jobs: int, budget: int, peak: int) -> int:
    """Return how many workers of `peak` bytes may run: at least one, at most `jobs`."""
    return max(1, min(jobs, budget // max(1, peak)))


def _group_headroom(root: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> int:
    """Return what this process's control group may still take (cgroup v2 and v1)."""
    groups = own or Path("/proc/self/cgroup")
    headroom = _UNLIMITED
    lines = groups.read_text().splitlines() if groups.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, names = root / path.lstrip("/"), ("memory.max", "memory.current")
        elif controllers == "memory":
            folder = root / "memory" / path.lstrip("/")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        headroom = min(headroom, _headroom(folder, *names))
    return headroom


def _headroom(folder: Path, limit: str, usage: str) -> int:
    try:
        most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
    except (OSError, ValueError):
        return _UNLIMITED
    return max(0, int(most) - used) if most.isdigit() else _UNLIMITED
