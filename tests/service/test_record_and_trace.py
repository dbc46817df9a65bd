"""The main path over HTTP: deliver real records, ask where a product comes from."""

import io
import zipfile
from pathlib import Path

import pytest

from provmanager.client import ProvClient
from provmanager.errors import ActivityCollisionError, AmbiguousError, NotFoundError
from provmanager.model import ExportFormat


@pytest.fixture(scope="module")
def chain(prov_data: Path, client: ProvClient) -> list[dict]:
    """The real chain of ctapipe 0.32 runs, recorded."""
    folder = prov_data / "ctapipe-samples" / "generated" / "chain_c0320"
    return [client.record(path) for path in sorted(folder.iterdir())]


def test_every_run_of_the_chain_is_new(chain: list[dict]) -> None:
    assert [r["outcome"] for r in chain] == ["recorded"] * 6
    assert all(a["outcome"] == "new" for r in chain for a in r["activities"])


def test_recording_again_changes_nothing(
    chain: list[dict], client: ProvClient, prov_data: Path
) -> None:
    before = client.info()
    folder = prov_data / "ctapipe-samples" / "generated" / "chain_c0320"
    again = [client.record(path) for path in sorted(folder.iterdir())]
    assert [r["outcome"] for r in again] == ["unchanged"] * 6
    assert client.info() == before


def test_trace_of_the_dl2_file_finds_exactly_its_ancestors(
    chain: list[dict], client: ProvClient
) -> None:
    found = client.lineage("mu_applied.dl2.h5")
    assert sorted(a["name"] for a in found["activities"]) == [
        "ctapipe-apply-models",
        "ctapipe-merge",
        "ctapipe-process",
        "ctapipe-process",
        "ctapipe-train-energy-regressor",
    ]
    assert sorted(e["name"] for e in found["entities"]) == [
        "energy.pkl",
        "lst_muons.simtel.zst",
        "mu2.dl1.h5",
        "mu3.dl1.h5",
        "mu_applied.dl2.h5",
        "mu_merged.dl1.h5",
        "train.yaml",
    ]
    assert {e["name"] for e in found["entities"] if e["is_root"]} == {
        "lst_muons.simtel.zst",
        "train.yaml",
    }


def test_one_input_in_two_roles_is_two_uses(chain: list[dict], client: ProvClient) -> None:
    found = client.lineage("mu_applied.dl2.h5", depth=1)
    merged = next(e["id"] for e in found["entities"] if e["name"] == "mu_merged.dl1.h5")
    roles = sorted(u["role"] for u in found["used"] if u["entity"] == merged)
    assert roles == ["Event data", "data product to merge"]


def test_depth_one_stops_at_the_first_activity(chain: list[dict], client: ProvClient) -> None:
    found = client.lineage("mu_applied.dl2.h5", depth=1)
    assert [a["name"] for a in found["activities"]] == ["ctapipe-apply-models"]


def test_downstream_of_the_simtel_file_reaches_every_run(
    chain: list[dict], client: ProvClient
) -> None:
    found = client.lineage("lst_muons.simtel.zst", direction="down")
    assert found["counts"]["activities"] == 6
    assert "mu_applied.dl2.h5" in {e["name"] for e in found["entities"]}


def test_path_url_and_product_id_name_the_same_product(
    chain: list[dict], client: ProvClient
) -> None:
    by_name = client.resolve("mu_merged.dl1.h5")
    for ref in (
        "/data/shift/runs/chain/mu_merged.dl1.h5",
        "file://vm/data/shift/runs/chain/mu_merged.dl1.h5",
        "urn:uuid:d59c63da-801f-41cd-83d1-63e90bc8a558",
        "d59c63da-801f-41cd-83d1-63e90bc8a558",
        by_name["id"],
    ):
        assert client.resolve(ref)["id"] == by_name["id"], ref


def test_an_unknown_product_gets_suggestions(chain: list[dict], client: ProvClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.resolve("mu_merged.h5")
    assert "mu_merged.dl1.h5" in caught.value.details["suggestions"]


def test_summary_has_one_box_for_repeated_steps(chain: list[dict], client: ProvClient) -> None:
    summary = client.lineage_summary("mu_applied.dl2.h5")
    process = [b for b in summary["boxes"] if b["name"] == "ctapipe-process"]
    assert [b["count"] for b in process] == [2]
    assert process[0]["statuses"] == {"completed": 2}


@pytest.mark.parametrize("format", ExportFormat)
def test_lineage_is_exported(chain: list[dict], client: ProvClient, format: ExportFormat) -> None:
    content = client.export("mu_applied.dl2.h5", export_format=format)
    if format is ExportFormat.RO_CRATE:
        content = zipfile.ZipFile(io.BytesIO(content)).read("ro-crate-metadata.json")
    assert b"ctapipe-merge" in content


def test_the_document_comes_back_verbatim(
    chain: list[dict], client: ProvClient, prov_data: Path
) -> None:
    path = prov_data / "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
    assert client.document(chain[3]["document"]) == path.read_bytes()


def test_activity_shows_configuration_packages_and_host(
    chain: list[dict], client: ProvClient
) -> None:
    run = client.activity(chain[3]["activities"][0]["id"])
    assert run["configuration"]["MergeTool.HDF5Merger.overwrite"] is True
    assert {"name": "astropy", "version": "8.0.2"} in run["environment"]["packages"]
    assert run["host"]["name"] == "vm"
    assert [u["name"] for u in run["used"]] == ["mu2.dl1.h5", "mu3.dl1.h5"]


def test_search_by_package_version_and_parameter(chain: list[dict], client: ProvClient) -> None:
    found = client.search_products(package="astropy==8.0.2", parameter="override_obs_id=3")
    assert [p["name"] for p in found["items"]] == ["mu3.dl1.h5"]
    assert client.search_products(package="astropy==1.0")["items"] == []


def test_same_uuid_for_another_run_is_refused(
    chain: list[dict], client: ProvClient, prov_data: Path
) -> None:
    path = prov_data / "ctapipe-samples/generated/chain_c0320/04_merge.provenance.log"
    before = client.info()
    forged = path.read_bytes().replace(b'"ctapipe-merge"', b'"ctapipe-split"', 1)
    with pytest.raises(ActivityCollisionError) as caught:
        client.record(forged, name="forged.json")
    assert caught.value.exit_code == 5
    assert client.info() == before


def test_two_files_of_one_name_are_ambiguous(client: ProvClient, prov_data: Path) -> None:
    for version in ("c0320", "c0280"):
        client.record(
            prov_data / f"ctapipe-samples/generated/{version}/01_process_gamma_dl1.provenance.log"
        )
    with pytest.raises(AmbiguousError) as caught:
        client.resolve("g1.dl1.h5")
    assert len(caught.value.details["candidates"]) == 2
