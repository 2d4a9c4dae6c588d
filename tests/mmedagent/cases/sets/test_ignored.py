"""Git keeps what names data, and never the data."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("data/sets/vqa-rad.yaml", True),
        ("data/sets/union.members.yaml", True),
        ("data/sets/ward.mapping.yaml", True),
        ("data/reviews/vqa-rad.yaml", True),
        ("data/vqa-rad/train/part-00000.parquet", False),
        ("data/starter/manifest.json", False),
        ("data/releases/0123456789ab/release/scan.dcm", False),
        ("data/cases.csv", False),
        ("work/add/vqa-rad/chunk", False),
        (".cache/versions/x/manifest.json", False),
        (".cache/privacy.key", False),
        ("runs/diff.html", False),
    ],
)
def test_git_keeps_declarations_and_reviews_alone(tmp_path: Path, path: str, kept: bool) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    words = ["git", "check-ignore", "--quiet", "--no-index", path]
    assert (subprocess.run(words, cwd=tmp_path).returncode != 0) is kept
