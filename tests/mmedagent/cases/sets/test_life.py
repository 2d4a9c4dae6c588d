"""A data set's life in a repository with real Git, real DVC and a real S3 server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmedagent.cases.ingest import ingest
from mmedagent.cases.sets.comparison import compare
from mmedagent.cases.sets.declare import Request, add_set, rebuild_set
from mmedagent.cases.sets.listing import list_sets
from mmedagent.cases.sets.lock import folder_md5, read_lock
from mmedagent.cases.sets.pull import pull_set
from mmedagent.cases.sets.revisions import open_version
from mmedagent.cases.store import read_cases, read_manifest
from mmedagent.digests import digest_file, digest_folder
from mmedagent.errors import BadDataError, MMedAgentError, StorageError, UsageError
from mmedagent.recipes.declarations import read_declaration
from mmedagent.recipes.params import render
from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.dvc_remote import set_dvc_remote
from mmedagent.storage.store import ObjectStore
from tests.mmedagent.cases.sets.repository import commit, dvc, git, make_repository
from tests.mmedagent.cases.sources.releases import (
    path_vqa,
    picture,
    rad_row,
    vqa_rad,
    write_files,
    zipped,
)

pytestmark = pytest.mark.slow
KEEP = ("privacy.burned_in_text=keep",)  # reading pictures for text costs most of the time
ADDING = """
import sys
from pathlib import Path
from mmedagent.cases.sets.declare import Request, add_set
from mmedagent.errors import MMedAgentError

fields = ("images.max_side=64", "privacy.burned_in_text=keep")
try:
    add_set(Path.cwd(), Request("vqa-rad", "vqa-rad", Path(sys.argv[1]), overrides=fields))
except MMedAgentError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""
WATCHED = ("dvc.yaml", "dvc.lock", "params.yaml", "data/sets/vqa-rad.yaml")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two releases of VQA-RAD, the second with a changed answer and one more case; PathVQA."""
    folder = tmp_path_factory.mktemp("releases")
    first = vqa_rad(folder / "first")
    rows = json.loads((first / "VQA_RAD Dataset Public.json").read_text())
    rows[0]["answer"] = "No"
    rows.append(rad_row(8, image_name="synpic0.jpg"))
    shutil.copytree(first, folder / "second")
    write_files(folder / "second", {"VQA_RAD Dataset Public.json": rows})
    return {
        "first": zipped(first, folder / "one.zip"),
        "second": zipped(folder / "second", folder / "two.zip"),
        "path": path_vqa(folder / "path"),
    }


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory,
    releases: dict[str, Path],
    store_config: StorageConfig,
) -> Iterator[Path]:
    """A repository with two sets and their union, committed as `v1`, pushed to the S3 server."""
    root = make_repository(tmp_path_factory.mktemp("life") / "root")
    before = Path.cwd()
    os.chdir(root)
    config = store_config.model_copy(update={"bucket": "life"})
    ObjectStore(config).ensure_bucket()
    patch = pytest.MonkeyPatch()
    for variable, value in config.environment().items():
        patch.setenv(variable, value)
    set_dvc_remote(root, config)
    add_set(root, Request("vqa-rad", "vqa-rad", releases["first"], overrides=KEEP))
    add_set(root, Request("path-vqa", "path-vqa", releases["path"], overrides=KEEP))
    add_set(root, Request("union", "sets", members=("vqa-rad", "path-vqa")))
    commit(root, "Three sets")
    git(root, "tag", "v1")
    dvc(root, "push", "vqa-rad", "path-vqa", "union")
    yield root
    patch.undo()
    os.chdir(before)


def state(root: Path) -> dict[str, bytes | str]:
    files = {name: (root / name).read_bytes() for name in WATCHED}
    return files | {"version": digest_folder(root / "data/vqa-rad")}


def test_what_was_added_is_declared_pinned_and_kept_by_git(root: Path) -> None:
    lock = read_lock(root)
    for name in ("vqa-rad", "path-vqa", "union"):
        assert lock[f"data/{name}"].md5 == folder_md5(root / "data" / name)
    assert (root / "params.yaml").read_text() == render(root=root)
    text = (root / "dvc.yaml").read_text()
    assert text.startswith("# What is made before a run, not in it.\n")
    assert "  # The set that is cut from packages.\n  starter:" in text
    kept = git(root, "ls-files", "data").split()
    declared = [f"data/sets/{n}.yaml" for n in ("path-vqa", "union", "vqa-rad")]
    assert kept == sorted([*declared, "data/sets/union.members.yaml"])
    assert git(root, "status", "--short") == ""
    listed = {one.name: one for one in list_sets(root)}
    assert listed["starter"].up_to_date == "never made" and listed["starter"].here == "no"
    rad = listed["vqa-rad"]
    assert (rad.here, rad.up_to_date, rad.cases, rad.images) == ("yes", "yes", 7, 4)
    assert listed["union"].cases == rad.cases + (listed["path-vqa"].cases or 0)
    merged = {case.case_id for case in read_cases(root / "data/union")}
    assert merged >= {case.case_id for case in read_cases(root / "data/vqa-rad")}


def test_repro_twice_gives_the_same_bytes(root: Path) -> None:
    before = {name: digest_folder(root / "data" / name) for name in ("vqa-rad", "path-vqa")}
    lock = (root / "dvc.lock").read_bytes()
    dvc(root, "repro", "--force", "--no-run-cache", "vqa-rad", "path-vqa", "union")
    assert (root / "dvc.lock").read_bytes() == lock
    assert {name: digest_folder(root / "data" / name) for name in before} == before


def test_a_changed_release_is_refused_on_arrival_and_nothing_moves(root: Path) -> None:
    recipe = read_declaration(root / "data/sets/vqa-rad.yaml")
    release = root / recipe.release
    original, before = release.read_bytes(), state(root)
    release.unlink()  # it is a link to the download
    release.write_bytes(original + b"\0")
    try:
        with pytest.raises(BadDataError, match="is not the declared release") as caught:
            rebuild_set(root, recipe)
        assert recipe.sha256 in str(caught.value)
        assert digest_file(release) in str(caught.value)
        assert "ERROR" not in str(caught.value)
    finally:
        release.write_bytes(original)
    assert state(root) == before


def test_a_release_that_cannot_be_read_leaves_no_trace(
    root: Path, releases: dict[str, Path], tmp_path: Path
) -> None:
    broken = write_files(tmp_path / "broken", {"notes.txt": "no release"})
    before, brought = state(root), sorted((root / "data/releases").iterdir())
    with pytest.raises(UsageError, match="VQA_RAD Dataset Public.json"):
        add_set(root, Request("other", "vqa-rad", broken))
    rows = [rad_row(0, question="")] + [rad_row(1, image_name="missing.jpg")]
    bad = write_files(tmp_path / "bad", {"VQA_RAD Dataset Public.json": rows})
    write_files(bad, {"VQA_RAD Image Folder/synpic0.jpg": picture(0)})
    with pytest.raises(BadDataError):
        add_set(root, Request("vqa-rad", "vqa-rad", bad, overrides=KEEP))
    with pytest.raises(BadDataError, match=r"--sha256 says 0000") as caught:
        add_set(root, Request("vqa-rad", "vqa-rad", releases["second"], sha256="0" * 64))
    assert caught.value.exit_code == 13
    assert state(root) == before
    assert sorted((root / "data/releases").iterdir()) == brought  # they may be raw patient data
    assert git(root, "status", "--short") == "" and not (root / "data/other").exists()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("starter", "vqa-rad", Path("x")), "is taken"),
        (Request("new", "vqa-raad", Path("x")), "no source 'vqa-raad'"),
        (Request("new", "vqa-rad"), "name the release"),
        (Request("new", "vqa-rad", Path("x"), languages=("zh",)), "--language is SLAKE's"),
        (Request("new", "own", Path("x")), "own cases need --mapping"),
        (Request("new", "vqa-rad", Path("x"), mapping=Path("m")), "other sources have none"),
        (Request("new", "sets", members=("vqa-rad",)), "two or more"),
        (Request("New", "sets", members=("vqa-rad", "path-vqa")), "names no data version"),
        (Request("a@b", "sets", members=("vqa-rad", "path-vqa")), "is no name"),
        (Request("../new", "sets", members=("vqa-rad", "path-vqa")), "names no data version"),
        (Request("new", "sets", members=("vqa-rad", "path-vqa"), overrides=("imges=1",)), "imges"),
    ],
)
def test_what_cannot_be_declared_is_said_before_dvc_is_asked(
    root: Path, request_: Request, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        add_set(root, request_)
    assert git(root, "status", "--short") == ""


def test_pods_fetch_a_pushed_version_by_its_manifests_digest(root: Path, tmp_path: Path) -> None:
    digest = read_manifest(root / "data/union")["digest"]
    store = ObjectStore(StorageConfig.from_environment())
    facts = ingest(store, digest, tmp_path / "out")
    assert digest_folder(tmp_path / "out") == digest_folder(root / "data/union")
    assert facts["digest"] == digest
    assert facts["data_version"] == read_lock(root)["data/union"].md5
    with pytest.raises(StorageError, match=r"no data version.*`dvc push`"):
        ingest(store, "0" * 64, tmp_path / "none")


def test_a_clone_pulls_what_was_pushed(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(root, "clone", "--quiet", str(root), str(clone))
    set_dvc_remote(clone, StorageConfig.from_environment())
    pulled = pull_set(clone, "vqa-rad")
    assert pulled.pinned and pulled.cases == 7
    assert digest_folder(clone / "data/vqa-rad") == digest_folder(root / "data/vqa-rad")
    digest = read_manifest(root / "data/path-vqa")["digest"]
    other = pull_set(clone, f"path-vqa@{digest}", out=tmp_path / "by-digest")
    assert other.digest == digest and other.origin == "the object store"
    (clone / "data/vqa-rad/manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="pinned nowhere.*--force"):
        pull_set(clone, "vqa-rad@v1")
    assert pull_set(clone, "vqa-rad@v1", force=True).pinned


def test_a_new_release_is_a_new_version_that_diff_explains(
    root: Path, releases: dict[str, Path]
) -> None:
    added = add_set(root, Request("vqa-rad", "vqa-rad", releases["second"], overrides=KEEP))
    assert added.manifest["digest"] != read_manifest(open_version(root, "vqa-rad@v1"))["digest"]
    sides = [(text, open_version(root, text)) for text in ("vqa-rad@v1", "vqa-rad")]
    found = compare(sides[0], sides[1])
    assert found.contents.ids["came"] == ["vqa-rad/8"]
    assert found.contents.ids["changed"] == [["vqa-rad/0", ["answer"]]]
    listed = {one.name: one for one in list_sets(root)}
    assert listed["union"].up_to_date == "data/vqa-rad"
    with pytest.raises(BadDataError, match="union pins vqa-rad at"):
        rebuild_set(root, read_declaration(root / "data/sets/union.yaml"))
    merged = add_set(root, Request("union", "sets", members=("vqa-rad", "path-vqa")))
    assert merged.report["members"]["vqa-rad"]["cases"] == 8
    commit(root, "New cases")
    back = pull_set(root, "vqa-rad@v1")
    assert not back.pinned and back.cases == 7
    assert next(one for one in list_sets(root) if one.name == "vqa-rad").here == "changed"
    assert pull_set(root, "vqa-rad").cases == 8


def test_reviews_that_came_become_part_of_the_version(root: Path) -> None:
    recipe = read_declaration(root / "data/sets/path-vqa.yaml")
    reviews = root / "data/reviews/path-vqa.yaml"
    reviews.parent.mkdir()
    reviews.write_text("reviewed: []\n")
    added = rebuild_set(root, recipe)
    assert (root / "data/path-vqa/reviewed.yaml").read_text() == "reviewed: []\n"
    assert "reviewed.yaml" in added.manifest["extras"]
    assert "data/reviews/path-vqa.yaml" in (root / "dvc.yaml").read_text()
    assert "data/reviews/path-vqa.yaml" in git(root, "status", "--short", "--untracked-files=all")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_all_as_it_was_and_the_same_call_goes_on(
    root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    recipe = read_declaration(root / "data/sets/vqa-rad.yaml")
    before = state(root)
    # Large enough that the signal finds the stage at work, however slow the machine is to look.
    rows = [rad_row(n, image_name=f"synpic{n % 9}.jpg") for n in range(6000)]
    long = write_files(tmp_path / "long", {"VQA_RAD Dataset Public.json": rows})
    pictures = {f"VQA_RAD Image Folder/synpic{n}.jpg": picture(n) for n in range(9)}
    process = subprocess.Popen(
        [sys.executable, "-c", ADDING, str(write_files(long, pictures))],
        cwd=root,
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not _stage_runs(process.pid):
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)  # as a supervisor does: to the command alone
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert state(root) == before
    assert rebuild_set(root, recipe).locked.md5 == folder_md5(root / "data/vqa-rad")


def _stage_runs(pid: int) -> bool:
    import psutil

    try:
        children = psutil.Process(pid).children(recursive=True)
        return any("mmedagent.cases.add" in " ".join(child.cmdline()) for child in children)
    except psutil.Error:
        return False


def test_two_at_once_are_refused(root: Path, releases: dict[str, Path]) -> None:
    from filelock import FileLock

    with (
        FileLock(root / "data/.sets.lock"),
        pytest.raises(MMedAgentError, match="under way"),
    ):
        add_set(root, Request("third", "vqa-rad", releases["first"]))
