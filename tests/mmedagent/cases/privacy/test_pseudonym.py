import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmedagent.cases.privacy.pseudonym import Pseudonyms, load_key
from mmedagent.errors import BadDataError, ExitCode, UsageError

KEY = bytes(range(32))


def test_pseudonyms_are_the_known_hmac() -> None:
    # Computed once with `openssl dgst -sha256 -mac HMAC -macopt hexkey:0001...1f`.
    assert Pseudonyms(KEY).of("subject", "HX-00482913") == "subject-" + _hmac(
        "subject\0HX-00482913"
    )


def _hmac(message: str) -> str:
    import hashlib

    block = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message.encode()).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()[:24]


@given(st.text(), st.text())
def test_equal_values_alone_have_equal_pseudonyms(one: str, other: str) -> None:
    names = Pseudonyms(KEY)
    assert (names.of("file", one) == names.of("file", other)) == (one == other)
    assert names.of("file", one) != names.of("subject", one)
    assert Pseudonyms(KEY[::-1]).of("file", one) != names.of("file", one)


def test_uids_are_valid_and_stable() -> None:
    from pydicom.uid import UID

    uid = Pseudonyms(KEY).uid("1.2.3.4")
    assert UID(uid).is_valid and uid.startswith("2.25.") and len(uid) <= 64
    assert uid == Pseudonyms(KEY).uid("1.2.3.4") != Pseudonyms(KEY).uid("1.2.3.5")


def test_a_kind_is_no_free_text() -> None:
    with pytest.raises(UsageError, match="lower-case word"):
        Pseudonyms(KEY).of("Subject HX-00482913", "x")


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "privacy.key"
    key = load_key(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(key) == 32
    assert load_key(path, create=True) == load_key(path) == key


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "privacy.key"
    load_key(path, create=True)
    os.chmod(path, mode)
    with pytest.raises(BadDataError, match=f"chmod 600 {path}") as error:
        load_key(path)
    assert error.value.exit_code == ExitCode.BAD_DATA


def test_a_missing_or_broken_key_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="mmedagent data key"):
        load_key(tmp_path / "none.key")
    for content in ("", "zz" * 32, "00" * 8, "00" * 33):
        broken = tmp_path / "broken.key"
        broken.write_text(content)
        broken.chmod(0o600)
        with pytest.raises(BadDataError, match=r"broken\.key holds"):
            load_key(broken)
    with pytest.raises(BadDataError, match="32 are needed"):
        Pseudonyms(b"short")


def test_git_ignores_the_default_key() -> None:
    import subprocess

    from mmedagent.cases.privacy.pseudonym import DEFAULT_KEY

    done = subprocess.run(["git", "check-ignore", "-q", str(DEFAULT_KEY)], check=False)
    assert done.returncode == 0
