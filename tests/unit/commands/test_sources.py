import hashlib
import io
import sys
from pathlib import Path

import pytest

from client_scripts._loaded import Loaded, Source
from client_scripts._references import references
from client_scripts._sources import LARGE_BYTES, find_sources, load
from provmanager.errors import (
    DocumentTooLargeError,
    NotFoundError,
    UnrecognisedFormatError,
    UsageError,
)


def no_limit() -> int | None:
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {
        "b/run.json": b'[{"activity_name": "x"}]',
        "b/run.provn": b"document\nendDocument",
        "b/noext": b' \n{"a": 1}',
        "a/tool.log": b"INFO nothing",
        "a/image.png": b"\x89PNG\r\n",
        "a/notes.txt": b"some words",
        "a/engine.txt": b"[2018-08-08 22:44:06Z] starting",
        "a/plain.gz": b"\x1f\x8b...",
        "a/events.fits.gz": b"\x1f\x8b...",
        "a/header.fits": (b"SIMPLE  = T".ljust(80) + b"END").ljust(2880),
        ".hidden/run.json": b"{}",
        "b/.run.json": b"{}",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return tmp_path


def names(found: object, root: Path) -> list[str]:
    return [s.name.removeprefix(f"{root}/") for s in found if isinstance(s, Source)]  # type: ignore[attr-defined]


def test_a_folder_gives_what_may_hold_provenance_in_order(folder: Path):
    found = list(find_sources([str(folder)]))
    assert names(found, folder) == [
        "a/events.fits.gz",
        "a/header.fits",
        "a/tool.log",
        "b/noext",
        "b/run.json",
        "b/run.provn",
    ]
    assert all(isinstance(s, Source) and s.is_sought for s in found)


def test_a_pattern_is_expanded_here_and_a_file_is_read_once(folder: Path):
    found = list(find_sources([f"{folder}/**/*.json", str(folder / "b")]))
    assert names(found, folder) == ["b/run.json", "b/noext", "b/run.provn"]
    assert [s.is_sought for s in found if isinstance(s, Source)] == [False, True, True]


@pytest.mark.parametrize("name", ["absent.json", "*.nothing"])
def test_what_is_not_there_is_an_item_that_says_so(folder: Path, name: str):
    (missing,) = find_sources([str(folder / name)])
    assert isinstance(missing, Loaded)
    assert isinstance(missing.error, NotFoundError)
    assert name in missing.error.message


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="only once"):
        list(find_sources(["-", "-"]))
    (source,) = find_sources(["-"])
    assert isinstance(source, Source)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff{}")))
    assert load(source, limit_bytes=no_limit).data == b"\xff{}"


def test_a_file_is_sent_as_it_is(folder: Path):
    loaded = load(Source("x", folder / "b/noext"), limit_bytes=no_limit)
    assert loaded.data == b' \n{"a": 1}'
    assert loaded.error is None


def test_of_a_product_only_its_provenance_is_sent(tmp_path: Path):
    import h5py

    path = tmp_path / "dl1.h5"
    with h5py.File(path, "w") as file:
        file["provenance/dl0_to_dl1"] = '{"activity_name": "lstchain"}'
        file["events"] = range(100_000)
    loaded = load(Source("dl1.h5", path), limit_bytes=no_limit)
    assert loaded.data == b'[{"activity_name": "lstchain"}]'


def test_a_product_without_provenance_says_so(folder: Path):
    loaded = load(Source("x", folder / "a/header.fits"), limit_bytes=no_limit)
    assert isinstance(loaded.error, UnrecognisedFormatError)


def test_a_file_larger_than_the_server_takes_is_not_read(tmp_path: Path):
    path = tmp_path / "garbage.json"
    with path.open("wb") as stream:
        stream.truncate(LARGE_BYTES + 1)
    loaded = load(Source("garbage.json", path), limit_bytes=lambda: LARGE_BYTES)
    assert isinstance(loaded.error, DocumentTooLargeError)
    assert loaded.error.details == {"found": LARGE_BYTES + 1, "limit": LARGE_BYTES}
    assert loaded.data == b""


def test_a_small_file_does_not_ask_for_the_limit(folder: Path):
    def never() -> int:
        raise AssertionError

    assert load(Source("x", folder / "b/run.json"), limit_bytes=never).data


def test_a_local_file_is_sought_by_content_then_by_place_then_as_typed(tmp_path: Path):
    path = tmp_path / "dl2 final.h5"
    path.write_bytes(b"abc")
    digest = f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    found = list(references(str(path), host="NODE7"))
    assert [r.ref for r in found] == [
        digest,
        f"file://node7{str(path).replace(' ', '%20')}",
        str(path),
    ]
    assert found[1].digest == digest


def test_a_large_file_is_sought_by_place_only(tmp_path: Path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"abc")
    refs = [r.ref for r in references(str(path), host="n", most_bytes=2)]
    assert refs == [f"file://n{path}", str(path)]


def test_a_symbolic_link_is_sought_by_both_paths(tmp_path: Path):
    (tmp_path / "real.h5").write_bytes(b"abc")
    (tmp_path / "link.h5").symlink_to("real.h5")
    refs = [r.ref for r in references(str(tmp_path / "link.h5"), host="n")]
    assert refs[1:3] == [f"file://n{tmp_path}/link.h5", f"file://n{tmp_path}/real.h5"]


def test_a_path_that_is_gone_is_sought_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    refs = [r.ref for r in references("out/../gone.h5", host="n")]
    assert refs == [f"file://n{tmp_path}/gone.h5", "out/../gone.h5"]


@pytest.mark.parametrize(
    "typed",
    [
        "lfn:/vo/x.h5",
        "https://example.org/x.fits",
        "sha256:" + "0" * 64,
        "9941956c-d5ee-4904-a578-1ea42ad0ff1e",
        "dl2.h5",
        "file://elsewhere/data/x.h5",
    ],
)
def test_what_is_no_local_file_is_left_to_the_server(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert [r.ref for r in references(typed, host="node7")] == [typed]
