"""Errors that a user can act on, and the one table of exit codes that all commands share."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; the same for every `mmedagent` command."""

    OK = 0
    CRASH = 1
    USAGE = 2
    FAIL = 10
    UNDERPOWERED = 11
    BROKEN_EVIDENCE = 12
    BAD_DATA = 13
    INTERRUPTED = 75


class MMedAgentError(Exception):
    """A failure with one clear message: what is wrong, where, and what mends it."""

    exit_code: ExitCode = ExitCode.CRASH


class UsageError(MMedAgentError):
    """The command line or a recipe asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class BadDataError(MMedAgentError):
    """Cases, images or tables that must not reach training."""

    exit_code = ExitCode.BAD_DATA


class BrokenEvidenceError(MMedAgentError):
    """Predictions, verdicts or weights that are missing, tampered with or from elsewhere."""

    exit_code = ExitCode.BROKEN_EVIDENCE


class InterruptedWithCheckpoint(MMedAgentError):
    """Stopped by a signal after a checkpoint was written: the same command goes on from it."""

    exit_code = ExitCode.INTERRUPTED


class PanelError(MMedAgentError):
    """A specialist's endpoint is down, too slow, or answers with something else than an answer."""


class StorageError(MMedAgentError):
    """The object store refused, lost or corrupted something."""


class ServingError(MMedAgentError):
    """The model server cannot start, is not ready, or refuses a version."""
