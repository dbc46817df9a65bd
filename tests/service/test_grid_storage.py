"""Jobs on the grid that read and write a storage: staged, checked, and in the record by LFN."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from grid_runs import job_of, submit, wait

from jobs.engines.diracx import DiracxEngine, GridOptions
from jobs.storage import StorageOptions, make_storage, stage_out
from provmanager.errors import UsageError

pytestmark = pytest.mark.grid_users

TEMPLATE = "/vo/{campaign}/{pipeline}/{run_block}/{run}/{output}.{file}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the nodes see as their storage element."""
    path = tmp_path / "storage"
    path.mkdir()
    return path


@pytest.fixture
def make(testbed, tmp_path, monkeypatch, app_url, make_token) -> Callable[..., DiracxEngine]:
    """Make an engine whose jobs use a storage."""
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN": make_token("recorder"),
        "DIRACX_URL": testbed.url,
        "DIRACX_CREDENTIALS_PATH": testbed.credentials["user"],
    }.items():
        monkeypatch.setenv(name, value)

    def with_storage(told: dict, **options) -> DiracxEngine:
        fields = {"campaign": "PROD6", "run_number": 12345}
        told = {"lfn": TEMPLATE, "fields": fields} | told
        return DiracxEngine(
            options=GridOptions(storage=StorageOptions.read(told, "test"), **options)
        )

    return with_storage


@pytest.fixture
def engine(make, folder) -> DiracxEngine:
    """An engine whose jobs use a folder that all nodes see."""
    return make({"kind": "directory", "path": str(folder)})


def store(engine: DiracxEngine, tmp_path: Path, lfn: str, text: str) -> str:
    """Put a text into the engine's storage, and return its digest."""
    path = tmp_path / "given"
    path.write_text(text)
    assert engine._options.storage is not None
    return stage_out(make_storage(engine._options.storage), path, lfn).sha256 or ""


def test_a_product_is_found_by_its_lfn_and_taken_by_another_job(
    client, engine, folder, tmp_path
) -> None:
    words = f"words of {tmp_path} {time.time_ns()}\n"
    sha256 = store(engine, tmp_path, "/vo/raw/words.txt", words)
    run = submit(engine, "chain.cwl", "text=LFN:/vo/raw/words.txt")
    status = wait(engine, run)
    assert (status.state, status.reason) == ("completed", None)
    (product,) = status.products
    lfn = f"/vo/PROD6/chain/012xxx/{run}/count.count.txt"
    assert product.lfn == f"LFN:{lfn}"
    assert (folder / lfn[1:]).read_bytes() == Path(product.path).read_bytes()  # here and there

    lineage = client.lineage(product.lfn)
    assert {"shout", "count"} <= {a["name"] for a in lineage["activities"]}
    found = client.entity(client.resolve(product.lfn)["id"])
    assert found["produced_by"]["name"] == "count"
    assert found["digests"] == [f"sha256:{product.sha256}"]
    assert f"lfn:{lfn}" in found["locations"]
    assert any(place.endswith(f"{folder}/{lfn[1:]}") for place in found["locations"])
    (hit,) = client.search_products(name=Path(lfn).name)["items"]
    assert (hit["id"], hit["location"]) == (found["id"], f"lfn:{lfn}")
    raw = client.entity(client.resolve("LFN:/vo/raw/words.txt")["id"])
    assert raw["digests"] == [f"sha256:{sha256}"]
    assert raw["id"] in json.dumps(lineage)

    job = job_of(client, engine, run)
    assert {(u["role"], u["name"]) for u in job["used"]} == {("text", "words.txt")}
    resources = job["details"]["resources"]
    assert resources["cpu_user_s"] > 0 < resources["max_rss_bytes"]
    assert resources["wall_s"] > 0
    assert job["job"]["pilot"]

    second = submit(engine, "chain.cwl", f"text={product.lfn}")
    inputs = json.loads((engine.find(second).path / "inputs.json").read_text())
    assert inputs["text"]["location"] == product.lfn
    assert wait(engine, second).state == "completed"
    names = {a["id"] for a in client.lineage(wait(engine, second).products[0].lfn)["activities"]}
    assert {a["id"] for a in lineage["activities"]} <= names


def test_products_may_stay_in_a_storage_in_s3_alone(client, make, testbed, tmp_path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = testbed\naws_secret_access_key = x\n")
    boto3.client(
        "s3", endpoint_url=testbed.s3_url, region_name="us-east-1",
        aws_access_key_id="testbed", aws_secret_access_key="x",
    ).create_bucket(Bucket="products")  # fmt: skip
    engine = make(
        {"kind": "s3", "bucket": "products", "endpoint": testbed.s3_url,
         "credentials": str(credentials)},
        bring_products=False,
    )  # fmt: skip
    store(engine, tmp_path, "/vo/raw/s3.txt", f"{time.time_ns()}\n")
    run = submit(engine, "chain.cwl", "text=LFN:/vo/raw/s3.txt")
    (product,) = wait(engine, run).products
    assert product.path == product.lfn
    assert not (engine.find(run).path / "products").exists()
    assert engine.results(run).outputs["count"]["location"] == product.lfn
    found = client.entity(client.resolve(product.lfn)["id"])
    assert f"s3://products{product.lfn.removeprefix('LFN:')}" in found["locations"]
    assert "s3.txt" in json.dumps(client.lineage(product.lfn)["entities"])


def test_an_input_that_is_not_what_the_record_knows_is_not_processed(
    client, engine, folder, tmp_path
) -> None:
    lfn = "/vo/raw/changed.txt"
    sha256 = store(engine, tmp_path, lfn, f"as recorded {time.time_ns()}\n")
    told = {"schema": "provmanager/activity.v1", "id": "5e0f0dd7-28b1-4a0e-9a2c-2b5e4d1c8f11",
            "name": "delivery", "outputs": [{"lfn": f"lfn:{lfn}", "sha256": sha256}]}  # fmt: skip
    client.record(json.dumps(told).encode(), name="delivery.json")
    (folder / lfn[1:]).write_text("something else\n")
    run = submit(engine, "chain.cwl", f"text=LFN:{lfn}")
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("error", 5)
    assert "the run was not begun" in (status.reason or "")
    assert sha256 in (status.reason or "")
    for activity in (client.activity(run), job_of(client, engine, run)):
        assert (activity["status"], activity["exit_code"]) == ("error", 5)
        assert sha256 in json.dumps(activity["details"])
    assert client.run(run)["steps"] == []


def test_a_product_that_cannot_be_stored_fails_the_job_and_is_kept(
    client, make, folder, tmp_path
) -> None:
    engine = make({"kind": "directory", "path": str(folder), "lfn": "/vo/same/{file}"})
    (folder / "vo/same").mkdir(parents=True)
    (folder / "vo/same/count.txt").write_text("another run's\n")
    text = tmp_path / "words.txt"
    text.write_text(f"{time.time_ns()}\n")
    run = submit(engine, "chain.cwl", f"text={text}")
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("error", 5)
    assert "never written over" in (status.reason or "")
    assert client.activity(run)["status"] == "completed"  # the workflow itself
    assert job_of(client, engine, run)["status"] == "error"
    (product,) = status.products
    assert product.sha256 == hashlib.sha256(Path(product.path).read_bytes()).hexdigest()
    assert (folder / "vo/same/count.txt").read_text() == "another run's\n"


@pytest.mark.parametrize(
    ("told", "inputs", "expected"),
    [
        ({"lfn": "/vo/{nosuch}/{file}"}, "text={text}", "no field 'nosuch'"),
        ({"lfn": {"counts": "/vo/{file}"}}, "text={text}", "no such output; it has: count"),
        ({}, "text=LFN:raw.txt", "is no LFN"),
    ],
)
def test_what_the_storage_cannot_do_is_said_before_the_job_is_submitted(
    make, folder, tmp_path, told, inputs, expected
) -> None:
    engine = make({"kind": "directory", "path": str(folder)} | told)
    (tmp_path / "words.txt").write_text("x\n")
    with pytest.raises(UsageError, match=expected):
        submit(engine, "chain.cwl", inputs.format(text=tmp_path / "words.txt"))
    assert list(engine.folder.iterdir()) == []


def test_without_a_storage_an_lfn_is_refused(make, engine) -> None:
    bare = DiracxEngine(options=GridOptions())
    with pytest.raises(UsageError, match="option storage of the grid"):
        submit(bare, "chain.cwl", "text=LFN:/vo/raw/words.txt")


def test_dirac_is_told_the_lfns_and_a_node_without_it_says_so(make) -> None:
    engine = make({"kind": "dirac", "elements": ["CC-IN2P3-Disk"]})
    run = submit(engine, "chain.cwl", "text=LFN:/vo/raw/words.txt")
    jdl = (engine.find(run).path / "job.jdl").read_text()
    assert 'InputData = {"LFN:/vo/raw/words.txt"};' in jdl  # what its brokering goes by
    status = wait(engine, run)
    assert (status.state, status.exit_code) == ("error", 2)
    assert "DIRAC is not installed for" in (status.reason or "")


def test_a_storage_that_is_not_there_is_said_by_the_node(make, tmp_path) -> None:
    engine = make({"kind": "directory", "path": str(tmp_path / "nowhere")})
    (tmp_path / "words.txt").write_text("x\n")
    status = wait(engine, submit(engine, "chain.cwl", f"text={tmp_path / 'words.txt'}"))
    assert (status.state, status.exit_code) == ("error", 2)
    assert "there is no folder" in (status.reason or "")
