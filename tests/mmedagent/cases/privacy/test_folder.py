import json
import os
import signal
from pathlib import Path
from typing import Any

import pydicom
import pytest
from typer.testing import CliRunner

from mmedagent.cases.privacy import folder as folder_module
from mmedagent.cases.privacy.folder import JOURNAL, REPORT, deidentify_folder
from mmedagent.cases.privacy.pseudonym import Pseudonyms, load_key
from mmedagent.errors import BadDataError, InterruptedWithCheckpoint, UsageError
from tests.mmedagent.cases.privacy.dicoms import SECRETS, planted, written

NAMES = Pseudonyms(bytes(range(32)))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Three files whose names and folders are a patient's."""
    source = tmp_path / "export"
    (source / "ABERNATHY_GWENDOLYN").mkdir(parents=True)
    for number, name in enumerate(("CT_small.dcm", "MR_small.dcm")):
        dataset = planted(name)
        dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.9.4417.10{number}"
        written(dataset, source / "ABERNATHY_GWENDOLYN" / f"HX-00482913-{number}.dcm")
    return source


def _everything(folder: Path) -> bytes:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)


def test_copies_name_nobody_and_the_report_counts(export: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copies = deidentify_folder(export, out, NAMES)
    assert (copies.files, copies.refused, copies.skipped) == (2, 0, 0)
    assert [s for s in SECRETS if s.encode() in _everything(out)] == []
    report = json.loads((out / REPORT).read_text())
    assert report["files"] == 2 and report["removed"]["dicom"]["group 0010"] > 10
    for path in out.glob("*.dcm"):
        assert path.name.startswith("image-") and pydicom.dcmread(path).pixel_array.size


def test_a_stopped_run_goes_on(export: Path, tmp_path: Path, monkeypatch: Any) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    deidentify_folder(export, whole, NAMES)
    with pytest.raises(InterruptedWithCheckpoint):
        deidentify_folder(
            export, out, NAMES, tell=lambda done, _: os.kill(os.getpid(), signal.SIGTERM)
        )
    assert len(list(out.glob("*.dcm"))) == 1
    with (out / JOURNAL).open("a") as journal:
        journal.write('{"name": "cut o')
    copied: list[str] = []
    copy = folder_module._copy
    monkeypatch.setattr(
        folder_module, "_copy", lambda path, *rest: copied.append(path.name) or copy(path, *rest)
    )
    deidentify_folder(export, out, NAMES)
    assert len(copied) == 1
    for path in whole.glob("*"):
        if path.name != JOURNAL:
            assert (out / path.name).read_bytes() == path.read_bytes()


def test_what_is_no_dicom_is_refused_without_its_name(export: Path, tmp_path: Path) -> None:
    (export / "ABERNATHY_GWENDOLYN" / "letter to GWENDOLYN.txt").write_text("x")
    with pytest.raises(BadDataError, match="1 of 3 files are no DICOM") as error:
        deidentify_folder(export, tmp_path / "out", NAMES)
    assert "GWENDOLYN" not in str(error.value) and not (tmp_path / "out").exists()
    copies = deidentify_folder(export, tmp_path / "out", NAMES, skip_others=True)
    assert (copies.files, copies.skipped) == (2, 1)


def test_truncated_files_end_the_run_without_their_content(export: Path, tmp_path: Path) -> None:
    victim = sorted(export.rglob("*.dcm"))[1]
    whole = victim.read_bytes()
    for length in (400, 1200, 3000, len(whole) // 2):
        victim.write_bytes(whole[:length])
        with pytest.raises(BadDataError, match="file 2 of 2") as error:
            deidentify_folder(export, tmp_path / "out", NAMES)
        assert not [secret for secret in SECRETS if secret in str(error.value)]


def test_another_key_is_refused(export: Path, tmp_path: Path) -> None:
    deidentify_folder(export, tmp_path / "out", NAMES)
    with pytest.raises(BadDataError, match="another pseudonym key"):
        deidentify_folder(export, tmp_path / "out", Pseudonyms(b"x" * 32))


def test_folders_in_each_other_are_refused(export: Path) -> None:
    for out in (export, export / "out", export.parent):
        with pytest.raises(UsageError, match="must not lie in each other"):
            deidentify_folder(export, out, NAMES)


def test_burned_in_text_is_painted_over_or_the_file_left_out(tmp_path: Path) -> None:
    import numpy as np

    from tests.mmedagent.cases.privacy.pictures import picture, with_text

    source = tmp_path / "export"
    source.mkdir()
    image, drawn = with_text(picture(256, 3), "ABERNATHY 1947", 14, (0.05, 0.95))
    dataset = planted()
    dataset.set_pixel_data(np.asarray(image), "MONOCHROME2", 8, generate_instance_uid=False)
    dataset.BurnedInAnnotation = "YES"
    written(dataset, source / "a.dcm")
    masked = deidentify_folder(source, tmp_path / "masked", NAMES)
    assert masked.report.removed["image"]["text region"] >= 1
    copy = pydicom.dcmread(next((tmp_path / "masked").glob("*.dcm")))
    assert (copy.pixel_array == np.asarray(image))[drawn].mean() < 0.02
    assert copy.BurnedInAnnotation == "NO"
    assert [c.CodeValue for c in copy.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    refused = deidentify_folder(source, tmp_path / "refused", NAMES, pixels="refuse")
    assert (refused.files, refused.refused) == (0, 1)
    kept = deidentify_folder(source, tmp_path / "kept", NAMES, pixels="keep")
    assert kept.files == 1 and "text region" not in kept.report.removed.get("image", {})


def test_the_commands(export: Path, tmp_path: Path) -> None:
    from mmedagent.cli.data import app

    run = CliRunner()
    key = tmp_path / "keys" / "privacy.key"
    missing = run.invoke(app, ["deidentify", str(export), str(tmp_path / "o"), "--key", str(key)])
    assert isinstance(missing.exception, BadDataError)
    assert run.invoke(app, ["key", str(key)]).exit_code == 0
    assert load_key(key)
    done = run.invoke(app, ["deidentify", str(export), str(tmp_path / "o"), "--key", str(key)])
    assert done.exit_code == 0, done.output
    assert "2 copies" in done.output and "group 0010" in done.output
    assert not [secret for secret in SECRETS if secret in done.output]
