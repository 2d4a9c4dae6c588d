"""`docs/method.md` says where each rule is and what proves it: what it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/method.md").read_text(encoding="utf-8")


def test_every_test_that_the_index_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 25
    for file, name in named:
        folder = ROOT / "tests" if file.startswith("pipelines/") else ROOT / "tests/mmedagent"
        source = (folder / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{file}::{name}"


def test_every_module_and_name_that_the_index_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|yaml))`(?: \(`(\w+)`\))?", PAGE)
    assert len(named) > 20
    for file, name in named:
        path = ROOT / "mmedagent" / file
        assert path.is_file(), file
        assert not name or name in path.read_text(encoding="utf-8"), f"{file}: {name}"
