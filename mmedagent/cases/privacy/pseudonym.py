"""Pseudonyms: keyed names that say who is the same and never who it is.

A plain hash of a record number can be undone by hashing all record numbers; an HMAC cannot, as
long as its key stays where the records are. Without the key nobody, this project included, can
link a pseudonym to a person.
"""

import hmac
import os
import re
import secrets
from pathlib import Path

from mmedagent.errors import BadDataError, UsageError

KEY_BYTES = 32
DEFAULT_KEY = Path(".cache/privacy.key")
"""Where the commands look for the key: in a folder that Git ignores."""
_DIGITS = 24
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Pseudonyms:
    """Gives every value of a kind (`subject`, `file`) one name, the same for one key always."""

    def __init__(self, key: bytes) -> None:
        """Raises `BadDataError` when `key` has fewer than 32 bytes."""
        if len(key) < KEY_BYTES:
            raise BadDataError(
                f"the pseudonym key has {len(key)} bytes, {KEY_BYTES} are needed: make a new one"
            )
        self._key = key

    def of(self, kind: str, value: str) -> str:
        """Return `<kind>-<24 hex digits>`, HMAC-SHA256 of kind and value, cut to 96 bits.

        The kind is part of what is signed: the same number as a subject and as a file gives two
        unrelated names. Raises `UsageError` when the kind is not a short lower-case word.
        """
        return f"{kind}-{self._digest(kind, value).hex()[:_DIGITS]}"

    def uid(self, value: str) -> str:
        """Return the DICOM UID that stands for the UID `value`: `2.25.` and a 128-bit number.

        The root `2.25` is for UIDs made of a UUID (PS3.5, annex B.2), so that no registration is
        needed and no one else's UID is hit.
        """
        number = int.from_bytes(self._digest("uid", value)[:16], "big")
        return f"2.25.{number}"

    def _digest(self, kind: str, value: str) -> bytes:
        if not _KIND.fullmatch(kind):
            raise UsageError("the kind of a pseudonym is a lower-case word of 1 to 32 letters")
        return hmac.digest(self._key, f"{kind}\0{value}".encode(), "sha256")


def load_key(path: Path, create: bool = False) -> bytes:
    """Return the key in the file `path`, which its owner alone may read.

    With `create`, a missing file is made with a random key and the mode 0600; whoever loses it can
    no longer give new cases of a known subject the same pseudonym. Raises `BadDataError` when the
    file is missing, others may read or write it, or it holds no key.
    """
    if create and not path.exists():
        _make_key(path)
    try:
        mode = path.stat().st_mode
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise BadDataError(
            f"{path}: there is no pseudonym key. Copy the one that earlier data were made with, or "
            "make a new one with `mmedagent data key`."
        ) from None
    except (ValueError, OSError):
        raise BadDataError(
            f"{path} holds no pseudonym key: {2 * KEY_BYTES} hex digits are expected"
        ) from None
    if mode & 0o077:
        raise BadDataError(
            f"{path}: others than its owner may use the pseudonym key: `chmod 600 {path}`"
        )
    if len(key) != KEY_BYTES:
        raise BadDataError(
            f"{path} holds a key of {len(key)} bytes, {KEY_BYTES} are expected: make a new one"
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_EXCL and the mode from the start: no moment at which another process reads or makes it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
