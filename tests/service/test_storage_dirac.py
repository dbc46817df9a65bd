"""Storage of the kind ``dirac``, against DIRAC's own services (`dirac_lab`); skipped without.

    PROV_TEST_DIRAC=/tmp/dirac pytest tests/service/test_storage_dirac.py

sets the lab up in that folder where it is not yet, starts it, and stops it in the end.
"""

import hashlib
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dirac_lab.lab import Lab
from grid_runs import submit, wait

from jobs.engines.diracx import DiracxEngine, GridOptions
from jobs.storage import StorageElement, StorageOptions, make_storage, stage_in, stage_out
from provmanager.errors import (
    AuthenticationError,
    DifferenceError,
    NotFoundError,
    ProvError,
    UnavailableError,
    UsageError,
)

FOLDER = os.environ.get("PROV_TEST_DIRAC", "")
if not FOLDER:
    pytest.skip(
        "PROV_TEST_DIRAC names no folder for a DIRAC (docs/grid.md)", allow_module_level=True
    )

pytestmark = [pytest.mark.grid_users, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A DIRAC of this machine."""
    running = Lab(Path(FOLDER))
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="module")
def make(lab: Lab) -> Callable[..., StorageElement]:
    """Make a storage of storage elements of the lab."""

    def storage(*elements: str, **more: object) -> StorageElement:
        place = {"elements": elements, "environment": str(lab.environment), **more}
        return make_storage(StorageOptions.read({"kind": "dirac", **place}, "test"))

    return storage


@pytest.fixture(scope="module")
def first(make) -> StorageElement:
    """The storage of one element that most tests use."""
    return make("LAB-1-DISK")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that no test has stored before."""
    path = tmp_path / "events.h5"
    path.write_bytes(f"{tmp_path} {time.time_ns()}\n".encode() * 1000)
    return path


@pytest.fixture
def folder() -> str:
    """An LFN to put files below, of this test alone."""
    return f"/lab/{time.time_ns()}"


def test_a_file_goes_in_once_and_comes_back_as_it_was(lab, first, file, folder, tmp_path):
    lfn = f"{folder}/run 012xxx/events.h5"
    data = file.read_bytes()
    assert first.find(lfn) is None
    stored = stage_out(first, file, lfn)
    assert stored.url == f"dirac:///LAB-1-DISK{lfn}"
    found = first.find(f"LFN:{lfn}")
    assert (found.lfn, found.size_bytes) == (lfn, len(data))
    assert found.adler32 == f"{zlib.adler32(data):08x}"
    assert found.sha256 == hashlib.sha256(data).hexdigest() == stored.sha256
    told = lab.run("dirac-dms-lfn-metadata", lfn)  # what others see
    assert found.adler32 in told
    assert "tester" in told
    assert (lab.folder / "elements/LAB-1-DISK" / lfn[1:]).read_bytes() == data
    assert lfn in lab.run("dirac-dms-find-lfns", "Path=/lab", f"sha256={found.sha256}")

    assert stage_in(first, lfn, tmp_path / "back", expected=found.sha256).url == stored.url
    assert (tmp_path / "back").read_bytes() == data
    assert stage_out(first, file, lfn) == stored  # a job that runs again
    file.write_bytes(data[::-1])
    with pytest.raises(DifferenceError, match="with other content"):
        stage_out(first, file, lfn)
    with pytest.raises(DifferenceError, match="there is a file"):
        first.put(file, lfn, sha256="0" * 64)
    assert (lab.folder / "elements/LAB-1-DISK" / lfn[1:]).read_bytes() == data


def test_a_file_that_others_stored_without_its_digest_is_compared_by_its_bytes(
    lab, first, file, folder, tmp_path
):
    lfn = f"{folder}/events.h5"
    lab.run("dirac-dms-add-file", lfn, file, "LAB-2-DISK")
    assert first.find(lfn).sha256 is None
    assert stage_out(first, file, lfn).url == f"dirac:///LAB-2-DISK{lfn}"
    other = tmp_path / "other.h5"
    other.write_bytes(file.read_bytes()[::-1])  # as long
    with pytest.raises(DifferenceError, match="with other content"):
        stage_out(first, other, lfn)


def test_a_file_is_read_from_the_replica_that_is_left(lab, make, file, folder, tmp_path):
    lfn = f"{folder}/events.h5"
    both = make("LAB-1-DISK", "LAB-2-DISK")
    stage_out(both, file, lfn)
    lab.run("dirac-dms-replicate-lfn", lfn, "LAB-2-DISK")
    lab.stop("DataManagement/StorageElement")
    try:
        assert both.find(lfn).url == f"dirac:///LAB-1-DISK{lfn}"
        stage_in(both, lfn, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == file.read_bytes()
        new = f"{folder}/new.h5"
        assert stage_out(both, file, new).url == f"dirac:///LAB-2-DISK{new}"
        with pytest.raises(UnavailableError, match=r"LAB-1-DISK: .*Connection refused") as raised:
            stage_out(make("LAB-1-DISK"), file, f"{folder}/not.h5")
        assert raised.value.exit_code == 75
    finally:
        lab.start("DataManagement/StorageElement")
    stage_out(make("LAB-1-DISK"), file, f"{folder}/not.h5")


def test_bytes_that_are_not_those_of_the_catalogue_are_not_used(lab, first, file, folder, tmp_path):
    lfn = f"{folder}/events.h5"
    stage_out(first, file, lfn)
    place = lab.folder / "elements/LAB-1-DISK" / lfn[1:]
    for changed in (file.read_bytes()[::-1], b"cut"):
        place.write_bytes(changed)
        with pytest.raises(DifferenceError, match="downloaded = "):
            stage_in(first, lfn, tmp_path / "back")
        assert not (tmp_path / "back").exists()


def test_an_element_without_room_is_passed_over_and_said(lab, make, file, folder):
    with pytest.raises(UnavailableError, match=r"LAB-FULL-DISK: .*(?i:not enough disk space)"):
        stage_out(make("LAB-FULL-DISK"), file, f"{folder}/a.h5")
    stored = stage_out(make("LAB-FULL-DISK", "LAB-2-DISK"), file, f"{folder}/a.h5")
    assert stored.url.startswith("dirac:///LAB-2-DISK/")


def test_an_element_that_is_banned_is_said(lab, make, file, folder):
    lab.set_status("Banned", "LAB-2-DISK")
    try:
        with pytest.raises(UnavailableError, match="Write access not currently permitted"):
            stage_out(make("LAB-2-DISK"), file, f"{folder}/a.h5")
    finally:
        lab.set_status("Active", "LAB-2-DISK")


def test_what_the_catalogue_does_not_take_is_not_left_in_the_storage(lab, first, file, folder):
    lfn = "/".join([folder, *("d" * 100 for _ in range(4)), "events.h5"])
    with pytest.raises(UnavailableError, match="the file catalogue did not register it"):
        stage_out(first, file, lfn)
    assert first.find(f"{folder}/events.h5") is None
    assert not list((lab.folder / "elements/LAB-1-DISK" / folder[1:]).rglob("events.h5"))


def test_a_file_is_stored_where_only_the_accounting_failed(lab, first, file, folder):
    lab.stop("Accounting/DataStore")
    try:
        stored = stage_out(first, file, f"{folder}/events.h5")
    finally:
        lab.start("Accounting/DataStore")
    assert first.find(stored.lfn).url == stored.url


def test_a_catalogue_that_is_down_is_said(lab, first, file, folder):
    lab.stop("DataManagement/FileCatalog")
    try:
        with pytest.raises(UnavailableError, match="FileCatalog error"):
            first.find(f"{folder}/events.h5")
    finally:
        lab.start("DataManagement/FileCatalog")
    assert first.find(f"{folder}/events.h5") is None


@pytest.mark.parametrize(
    ("name", "data", "error", "expected"),
    [
        ("none.h5", None, NotFoundError, "the storage has no file"),
        ("empty.h5", b"", UsageError, "DIRAC stores no empty files"),
        ("", b"x", ProvError, "is a folder of the file catalogue"),
        ("/elsewhere/a.h5", b"x", UsageError, "must start with VO name"),
    ],
)
def test_what_cannot_be_stored_is_said(first, file, folder, name, data, error, expected):
    stage_out(first, file, f"{folder}/sub/events.h5")
    lfn = name if name.startswith("/") else f"{folder}/{name}" if name else f"{folder}/sub"
    file.write_bytes(data or b"")
    with pytest.raises(error, match=expected):
        _ = stage_in(first, lfn, file) if data is None else stage_out(first, file, lfn)


@pytest.mark.parametrize(
    ("element", "more", "expected"),
    [
        ("NO-DISK", {}, "no storage element NO-DISK; it has: LAB-1-DISK, LAB-2-DISK, LAB-FULL"),
        ("LAB-1-DISK", {"catalogs": ["Nowhere"]}, "no file catalogue Nowhere"),
    ],
)
def test_a_storage_that_is_not_there_is_said_before_it_is_used(make, element, more, expected):
    with pytest.raises(UsageError, match=expected):
        make(element, **more)


def test_a_dirac_that_has_no_configuration_is_told(lab, make, tmp_path):
    bare = tmp_path / "diracrc"
    bare.write_text(f'. {lab.environment}\nexport DIRAC_ROOT_PATH="{tmp_path}" HOME="{tmp_path}"\n')
    with pytest.raises(UsageError, match=r"installed for .* name no configuration server"):
        make("LAB-1-DISK", environment=str(bare))


def test_a_signal_ends_a_transfer_that_hangs(lab, make, file, folder):
    storage = make("LAB-2-DISK")
    lab.signal("DataManagement/StorageElement2", signal.SIGSTOP)
    former = signal.signal(signal.SIGUSR1, _raise)
    timer = threading.Timer(2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(InterruptedError):
            storage.put(file, f"{folder}/events.h5", sha256="0" * 64)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, former)
        lab.signal("DataManagement/StorageElement2", signal.SIGCONT)
    assert storage._process.poll() == -signal.SIGKILL
    assert storage.find(f"{folder}/events.h5") is None  # by another process


def _raise(number: int, frame: object) -> None:
    raise InterruptedError(number)


def test_dirac_is_found_on_the_path(lab, monkeypatch, folder):
    monkeypatch.setenv("PATH", f"{lab.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("DIRAC_ROOT_PATH", str(lab.folder / "client"))
    monkeypatch.setenv("X509_USER_PROXY", str(lab.proxy))
    options = StorageOptions(kind="dirac", place={"elements": ["LAB-1-DISK"]})
    assert make_storage(options).find(f"{folder}/x") is None


def test_without_a_proxy_the_way_to_one_is_told(lab, make, monkeypatch, tmp_path, file, folder):
    proxy = tmp_path / "proxy.pem"
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    with pytest.raises(AuthenticationError, match=r"There is no proxy .*dirac-proxy-init"):
        make("LAB-1-DISK")
    lab.make_proxy(proxy)
    storage = make("LAB-1-DISK")
    expired = tmp_path / "expired.pem"
    lab.make_expired_proxy(expired)
    expired.replace(proxy)  # as in a job that outlives its proxy
    with pytest.raises(AuthenticationError, match="has expired: dirac-proxy-init") as raised:
        stage_out(storage, file, f"{folder}/events.h5")
    assert raised.value.exit_code == 4
    with pytest.raises(AuthenticationError, match="has expired"):
        make("LAB-1-DISK")


def test_a_product_of_a_job_is_found_by_its_lfn_and_taken_by_another_job(
    lab, first, testbed, client, app_url, make_token, monkeypatch, tmp_path, folder
):
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"), "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"), "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    storage = StorageOptions.read(
        {"kind": "dirac", "elements": ["LAB-1-DISK"], "environment": str(lab.environment),
         "lfn": folder + "/{pipeline}/{run}/{file}"},
        "test",
    )  # fmt: skip
    engine = DiracxEngine(options=GridOptions(storage=storage, bring_products=False))
    text = tmp_path / "words.txt"
    text.write_text(f"words of {folder}\n")
    raw = stage_out(first, text, f"{folder}/words.txt")

    run = submit(engine, "chain.cwl", f"text=LFN:{raw.lfn}")
    status = wait(engine, run)
    assert (status.state, status.reason) == ("completed", None)
    (product,) = status.products
    assert product.lfn == f"LFN:{folder}/chain/{run}/count.txt"
    found = client.entity(client.resolve(product.lfn)["id"])
    assert found["produced_by"]["name"] == "count"
    assert f"dirac:///LAB-1-DISK{product.lfn.removeprefix('LFN:')}" in found["locations"]
    assert found["digests"] == [f"sha256:{first.find(product.lfn).sha256}"]
    assert "words.txt" in {e["name"] for e in client.lineage(product.lfn)["entities"]}

    second = wait(engine, submit(engine, "chain.cwl", f"text={product.lfn}"))
    assert second.state == "completed"
    names = [a["name"] for a in client.lineage(second.products[0].lfn)["activities"]]
    assert names.count("count") == 2
