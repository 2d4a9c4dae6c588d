"""A release is read member by member, and what a hostile one tries is refused before it is read."""

import gzip
import io
import operator
import os
import pickle
import random
import re
import socket
import struct
import tarfile
import zipfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from mmedagent.cases.sources.release import Release, open_release
from mmedagent.errors import BadDataError, MMedAgentError, UsageError
from mmedagent.recipes.sets import LimitsRecipe
from tests.mmedagent.cases.sources.releases import tarred, write_files, write_parquet, zipped

LIMITS = LimitsRecipe()
FILES = {"b.json": "[]", "a/x.png": b"picture", "a/X.png": b"another"}


def packed(folder: Path, kind: str) -> Path:
    path = folder.with_name(f"packed.{kind}")
    return zipped(folder, path) if kind == "zip" else tarred(folder, path)


def refused(path: Path, message: str, limits: LimitsRecipe = LIMITS) -> None:
    """Assert that opening, or reading all of it, ends with exit code 13 and `message`."""
    with (
        pytest.raises(BadDataError, match=message) as caught,
        open_release(path, limits) as release,
    ):
        for name in release.names():
            release.read(name)
    assert caught.value.exit_code == 13
    assert str(path.name) in str(caught.value)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz"])
def test_an_archive_reads_as_its_folder(kind: str, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    with open_release(folder, LIMITS) as plain, open_release(packed(folder, kind), LIMITS) as same:
        assert plain.names() == ["a/X.png", "a/x.png", "b.json"]
        assert same.names() == [f"release/{name}" for name in plain.names()]
        for name in plain.names():
            assert same.read(f"release/{name}") == plain.read(name)
            assert same.open(f"release/{name}").read(3) == plain.read(name)[:3]
        assert "release/a/x.png" in same and "release/a" not in same and "a" not in plain


def test_a_single_file_is_a_release_of_one(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "train.parquet", [{"a": 1}])
    with open_release(path, LIMITS) as release:
        assert list(release.names()) == ["train.parquet"]
        assert release.read("train.parquet") == path.read_bytes()
        assert release.place("train.parquet") == "train.parquet"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_parquet_member_can_be_sought(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    write_parquet(folder / "train.parquet", [{"a": n} for n in range(1000)])
    whole = (folder / "train.parquet").read_bytes()
    path = folder if kind == "folder" else packed(folder, kind)
    with open_release(path, LIMITS, tmp_path / "scratch") as release:
        [name] = release.names()
        with release.open(name) as file:
            file.seek(-4, io.SEEK_END)
            assert file.read() == b"PAR1" and file.tell() == len(whole)
            file.seek(10)
            assert file.read(20) == whole[10:30]
    assert not [p for p in (tmp_path / "scratch").rglob("*")]  # nothing stays behind


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_worker_reads_what_it_is_sent(kind: str, start: str, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", {f"{n}.png": os.urandom(5000) for n in range(300)})
    path = folder if kind == "folder" else packed(folder, kind)
    with open_release(path, LIMITS) as release:
        reads = [partial(release.read, name) for name in release.names()]
        assert len(pickle.dumps(reads[0])) < 1000  # the path, not the table of contents
        with get_context(start).Pool(2) as pool:
            assert pool.map(operator.call, reads, chunksize=40) == [read() for read in reads]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_member_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    path = folder if kind == "folder" else packed(folder, kind)
    with open_release(path, LIMITS) as release:
        for name in ("none.png", "../b.json", "/etc/passwd", "a/../b.json", "a"):
            with pytest.raises(BadDataError, match=f"{re.escape(name)}: not in the release; fetch"):
                release.read(name)
        with pytest.raises(BadDataError, match="^table.csv row 3: not in the release"):
            release.read("Doe_Jane.png", "table.csv row 3")


def test_an_image_over_the_limit_is_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", {"a.png": bytes(2000)})
    refused(folder, "a.png: more than 1000 bytes; ", LimitsRecipe(max_image_bytes=1000))


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder; give the release as"):
        open_release(tmp_path / "none", LIMITS)
    (tmp_path / "a.tar.xz").write_bytes(b"\xfd7zXZ\x00rest")
    with pytest.raises(UsageError, match="not read; pack it as .zip, .tar or .tar.gz"):
        open_release(tmp_path / "a.tar.xz", LIMITS)


@pytest.mark.parametrize(
    ("name", "start"), [("a.zip", b"GIF89a"), ("a.parquet", b"PK\3\4"), ("a.tar", b"\x1f\x8b")]
)
def test_a_file_of_another_kind_than_its_name_is_refused(
    name: str, start: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(start + bytes(600))
    refused(tmp_path / name, "its first bytes are those of a")


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    (folder / "a/link.png").symlink_to("/etc/passwd")
    refused(folder, r"holds a symbolic link .*`cp -rL`")
    (folder / "a/link.png").unlink()
    (folder / "linked").symlink_to(tmp_path)
    refused(folder, "holds a symbolic link")


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    with open_release(folder, LIMITS) as release:
        (folder / "b.json").unlink()
        (folder / "b.json").symlink_to("/etc/passwd")
        with pytest.raises(BadDataError, match="b.json: cannot be opened"):
            release.read("b.json")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_device_in_a_folder_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "release", FILES)
    if kind == "pipe":
        os.mkfifo(folder / "p")
        refused(folder, "holds a device, pipe or socket")
        return
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # a socket's path must be short
        listener.bind("s")
        refused(folder, "holds a device, pipe or socket")


def test_a_folder_over_the_limits_is_refused(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    refused(folder, "more than 2 members; divide it", LimitsRecipe(max_members=2))
    refused(folder, "more than 10 bytes in all", LimitsRecipe(max_total_bytes=10))
    refused(folder, r"has 7 bytes, the limit is 5;", LimitsRecipe(max_member_bytes=5))


# Archives: what is wrong is wrong in a zip and in a tar alike.


def make_zip(path: Path, members: list[tuple[str, bytes]], **changes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = changes.get("mode", 0o100644) << 16
            archive.writestr(info, data)
    return path


def make_tar(path: Path, members: list[tuple[str, bytes]], **changes: object) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in changes.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def make(kind: str, path: Path, members: list[tuple[str, bytes]]) -> Path:
    made = path / f"bad.{kind}"
    return make_zip(made, members) if kind == "zip" else make_tar(made, members)


KINDS = ["zip", "tar", "tar.gz"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["../up.png", "a/../../up.png", "/etc/up.png", "C:\\up.png", "..\\up.png", "a/.."]
)
def test_a_name_that_leaves_the_release_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path, [("good.png", b"1"), (name, b"2")])
    refused(path, r"member 2 \(.* lists them\) has a name that leaves the release.*; pack the")
    assert "up.png" not in _message(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_about_an_archive_holds_no_member_name(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path, [("../Doe_Jane_1970.png", b"1")])
    assert "Doe" not in _message(path)


def _message(path: Path) -> str:
    with pytest.raises(MMedAgentError) as caught:
        open_release(path, LIMITS)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_control_characters_in_a_name_are_refused(kind: str, tmp_path: Path) -> None:
    refused(make(kind, tmp_path, [("a\x1b[2J.png", b"1")]), "member 1 .* has control characters")


@pytest.mark.parametrize("kind", KINDS)
def test_two_members_of_one_name_are_refused(kind: str, tmp_path: Path) -> None:
    refused(make(kind, tmp_path, [("a.png", b"1"), ("./a.png", b"2")]), "member 2 .* the name of")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_over_the_limits_is_refused(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path, [(f"{n}.png", random.Random(n).randbytes(900)) for n in range(5)])
    refused(path, "more than 4 members", LimitsRecipe(max_members=4))
    limits = LimitsRecipe(max_total_bytes=2000)
    refused(path, "more than 2000 bytes", limits)
    refused(path, "has 900 bytes, the limit is 800", LimitsRecipe(max_member_bytes=800))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_by_its_ratio(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path, [("zeros.png", bytes(30 << 20))])
    refused(path, "unpacks (to more than|.* more than 200 times)")


def test_names_that_differ_in_case_are_two_files(tmp_path: Path) -> None:
    with open_release(make("zip", tmp_path, [("a.png", b"1"), ("A.png", b"2")]), LIMITS) as release:
        assert release.names() == ["A.png", "a.png"]


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010644])
def test_a_link_or_device_in_a_zip_is_refused(mode: int, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bad.zip", [("a.png", b"/etc/passwd")], mode=mode)
    refused(path, "member 1 .* is a link or a device; pack the files themselves")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_device_in_a_tar_is_refused(kind: bytes, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "bad.tar", [("a.png", b"")], type=kind, linkname="/etc/passwd")
    refused(path, "member 1 .* is a link, a device or a sparse file; .*tar -ch")


def patched(path: Path, old: bytes, new: bytes, last: bool = True) -> Path:
    """Change the archive's directory, which is behind its data."""
    whole = path.read_bytes()
    at = whole.rfind(old) if last else whole.find(old)
    assert at >= 0
    path.write_bytes(whole[:at] + new + whole[at + len(old) :])
    return path


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bad.zip", [("a.png", b"secret")])
    whole = bytearray(path.read_bytes())
    whole[whole.rfind(b"PK\1\2") + 8] |= 1
    path.write_bytes(whole)
    refused(path, "member 1 .* is encrypted; decrypt the archive")


@pytest.mark.parametrize("claimed", [400, 90_000])
def test_a_zip_that_lies_about_a_size_is_refused(claimed: int, tmp_path: Path) -> None:
    data = random.Random(0).randbytes(50_000)
    path = make_zip(tmp_path / "bad.zip", [("a.png", data)])
    size = struct.pack("<L", len(data))
    patched(path, size, struct.pack("<L", claimed))
    refused(path, "a.png: (cannot be unpacked|holds fewer bytes than the archive's table)")


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As David Fifield's zip bomb: every member's data is the same few bytes."""
    path = make_zip(tmp_path / "bad.zip", [("a.png", bytes(100)), ("b.png", bytes(100))])
    whole = bytearray(path.read_bytes())
    struct.pack_into("<L", whole, whole.rfind(b"PK\1\2") + 42, 0)
    path.write_bytes(whole)
    refused(path, "members overlap, which is how archive bombs are made")


def test_a_zip_directory_is_counted_and_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bad.zip", [(f"{n}.png", b"1") for n in range(50)])
    whole = bytearray(path.read_bytes())
    struct.pack_into("<2H", whole, whole.rfind(b"PK\5\6") + 8, 1, 1)
    path.write_bytes(whole)
    refused(path, "more than 20 members", LimitsRecipe(max_members=20))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_unusual_packing_of_a_member_is_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", method) as archive:
        archive.writestr("a.png", b"1" * 1000)
    refused(tmp_path / "bad.zip", "member 1 .* is packed by method .*; unpack it and give")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.97])
def test_an_archive_that_is_cut_short_is_refused(kind: str, keep: float, tmp_path: Path) -> None:
    members = [(f"{n}.png", random.Random(n).randbytes(3000)) for n in range(20)]
    path = make(kind, tmp_path, members)
    whole = path.read_bytes() if kind != "tar" else path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[: int(len(whole) * keep)])
    refused(path, "fetch it again|fetch the archive again")


def test_a_tar_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    path = make("tar", tmp_path, [("a.png", b"1"), ("b.png", b"2")])
    path.write_bytes(path.read_bytes()[:1024])
    refused(path, "broken or cut short")


def test_a_tar_header_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"comment": "x" * (2 << 20)}
        archive.addfile(info)
    refused(path, "a header of more than 1048576 bytes")


def test_a_gzip_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"no archive" * 1000))
    refused(tmp_path / "a.tar.gz", "a.tar.gz: the tar archive is broken or cut short")


def test_a_damaged_member_is_named_when_it_is_read(tmp_path: Path) -> None:
    data = random.Random(0).randbytes(5000)
    path = make_zip(tmp_path / "bad.zip", [("a.png", data)])
    patched(path, data[2000:2010], bytes(10))
    refused(path, r"a.png: cannot be unpacked \(BadZipFile\); fetch the archive again")


def test_a_refused_archive_leaves_no_scratch_behind(tmp_path: Path) -> None:
    path = make("tar.gz", tmp_path, [("../a.png", b"1")])
    with pytest.raises(BadDataError):
        open_release(path, LIMITS, tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


def mutated(whole: bytes, draw: random.Random) -> bytes:
    """Return an archive with a few bytes changed, taken out or put in, or cut short."""
    data = bytearray(whole)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(data) - 200 if draw.random() < 0.3 else 0, len(data))
        data[at : at + draw.choice([0, 1, 1, 4])] = draw.randbytes(draw.choice([0, 1, 1, 4]))
    return bytes(data[: draw.randrange(300, len(data))] if draw.random() < 0.1 else data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_never_ends_in_another_error(kind: str, tmp_path: Path) -> None:
    members = [(f"{n}.png", random.Random(n).randbytes(500)) for n in range(3)]
    whole = make(kind, tmp_path, members).read_bytes()
    path = tmp_path / f"damaged.{kind}"
    refusals = 0
    for seed in range(250):
        path.write_bytes(mutated(whole, random.Random(seed)))
        try:
            with open_release(path, LIMITS) as release:
                for name in release.names():
                    assert len(release.read(name)) <= 2000
        except (BadDataError, UsageError):
            refusals += 1
    assert refusals > 50


def test_what_macos_adds_is_not_listed(tmp_path: Path) -> None:
    names = ["a.png", "__MACOSX/r/._a.png", "r/._b.json", "r/.DS_Store", "r/b.json", "r/x._y"]
    with open_release(make("zip", tmp_path, [(n, b"1") for n in names]), LIMITS) as release:
        assert release.names() == ["a.png", "r/b.json", "r/x._y"]


def test_all_kinds_are_releases(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "release", FILES)
    for path in (folder, folder / "b.json", packed(folder, "zip"), packed(folder, "tar")):
        with open_release(path, LIMITS) as release:
            assert isinstance(release, Release) and release.path == path
