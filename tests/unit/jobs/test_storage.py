"""Storage: names laid out by templates, files that come in as they went out, digests checked."""

import hashlib

import pytest

from jobs.storage import LfnTemplate, StorageOptions, make_storage, normal_lfn, stage_in, stage_out
from provmanager.errors import DifferenceError, NotFoundError, UsageError

CTADIRAC = "{base}/{campaign}/{site}/{particle}/{pipeline}/{production}/Data/{run_block}/{file}"
FIELDS = {
    "base": "/ctao/MC", "campaign": "PROD6", "site": "LaPalma", "particle": "gamma",
    "production": 1234, "run_number": r"match:run(\d+)",
}  # fmt: skip


def test_the_layout_of_ctadirac_comes_out_of_its_template():
    template = LfnTemplate(CTADIRAC, FIELDS, ("file", "pipeline"))
    assert template.lfn("gamma_run012345___cta.DL2.h5", pipeline="ctapipe-process") == (
        "/ctao/MC/PROD6/LaPalma/gamma/ctapipe-process/1234/Data/012xxx/gamma_run012345___cta.DL2.h5"
    )


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("/vo/{run_no}/{file}", {"run_number": 1}, "no field 'run_no'; there are: file, run_block"),
        ("/vo/{run_block}/{file}", {}, "run_block needs the field run_number"),
        ("/vo/all", {}, "without {file}"),
        ("/vo/{file", {}, "expected '}'"),
        ("/vo/{file!r}", {}, "expected {name}"),
        ("/vo/{a.b}/{file}", {"a": 1}, "expected {name}"),
        ("/vo/{a}/{file}", {"a": ["x"]}, "expected a text or number"),
        ("/vo/{a}/{file}", {"a": "match:run(\\d+"}, "is no pattern"),
        ("/vo/{a}/{file}", {"a": "match:run"}, "0 groups, expected one"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_before_anything_runs(text, fields, expected):
    with pytest.raises(UsageError) as raised:
        LfnTemplate(text, fields, ("file",))
    assert expected in raised.value.message


@pytest.mark.parametrize(
    ("text", "file", "expected"),
    [
        (CTADIRAC, "gamma.h5", "does not match the file name 'gamma.h5'"),
        ("{base}/{file}", "a;b.h5", "';' may not be in it"),
        ("{base}/../{file}", "a.h5", "'/../' may not be in it"),
        ("{base}//{file}", "a.h5", "'//' may not be in it"),
        ("x/{file}", "a.h5", "expected /vo/"),
    ],
)
def test_a_name_that_is_no_lfn_is_refused(text, file, expected):
    template = LfnTemplate(text, FIELDS, ("file", "pipeline"))
    with pytest.raises(UsageError) as raised:
        template.lfn(file, pipeline="p")
    assert expected in raised.value.message


@pytest.mark.parametrize(
    "text", ["LFN:/vo/a/b.h5", "lfn:/vo/a/b.h5", "/vo/a/b.h5", "LFN:///vo/a/b.h5"]
)
def test_an_lfn_is_known_in_its_spellings(text):
    assert normal_lfn(text) == "/vo/a/b.h5"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"kind": "tape"}, "kind of directory, s3, dirac"),
        ({"kind": "s3"}, "missing: bucket"),
        ({"kind": "directory", "path": "/x", "bucket": "b"}, "unknown: bucket"),
        ({"kind": "directory", "path": 7}, "path is 7: expected a text"),
        ({"kind": "dirac", "elements": "SE"}, "expected a list of names"),
        ({"kind": "directory", "path": "/x", "fields": []}, "fields is []: expected an object"),
    ],
)
def test_options_that_are_wrong_are_named(told, expected):
    with pytest.raises(UsageError) as raised:
        StorageOptions.read(told, "grid.json")
    assert raised.value.message.startswith("grid.json: ")
    assert expected in raised.value.message


def test_options_come_back_as_they_went():
    told = {"kind": "s3", "bucket": "data", "lfn": "/vo/{x}/{file}", "fields": {"x": 1}}
    options = StorageOptions.read(told, "here")
    assert options.lfn == {"*": "/vo/{x}/{file}"}
    assert StorageOptions.read(options.dump(), "there") == options


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "storage").mkdir()
    return make_storage(StorageOptions(kind="directory", place={"path": str(tmp_path / "storage")}))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "events.h5"
    path.write_bytes(b"events\n" * 1000)
    return path


def test_a_file_comes_back_as_it_was_stored(storage, file, tmp_path):
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    stored = stage_out(storage, file, "LFN:/vo/x/events.h5")
    assert (stored.lfn, stored.size_bytes, stored.sha256) == ("/vo/x/events.h5", 7000, sha256)
    back = tmp_path / "node" / "events.h5"
    assert stage_in(storage, "LFN:/vo/x/events.h5", back, expected=sha256).url == stored.url
    assert back.read_bytes() == file.read_bytes()
    assert [p.name for p in (tmp_path / "storage/vo/x").iterdir()] == ["events.h5"]  # no leavings


def test_what_has_an_lfn_is_not_written_over(storage, file, tmp_path):
    stage_out(storage, file, "/vo/x/events.h5")
    stage_out(storage, file, "/vo/x/events.h5")  # the same bytes: a job that runs again
    other = tmp_path / "other.h5"
    other.write_bytes(b"EVENTS\n" * 1000)
    with pytest.raises(DifferenceError, match="there already, with other content"):
        stage_out(storage, other, "/vo/x/events.h5")
    with pytest.raises(DifferenceError):  # where two do so at once
        storage.put(other, "/vo/x/events.h5", sha256="0" * 64)
    assert (tmp_path / "storage/vo/x/events.h5").read_bytes() == file.read_bytes()


def test_a_file_with_another_digest_than_expected_is_not_used(storage, file, tmp_path):
    stage_out(storage, file, "/vo/x/events.h5")
    with pytest.raises(DifferenceError, match="of the record"):
        stage_in(storage, "/vo/x/events.h5", tmp_path / "back", expected="0" * 64)
    assert not (tmp_path / "back").exists()


def test_a_file_that_is_not_there_is_said_so(storage, tmp_path):
    with pytest.raises(NotFoundError, match=r"/vo/x/no\.h5"):
        stage_in(storage, "/vo/x/no.h5", tmp_path / "back")
    with pytest.raises(UsageError, match="there is no folder"):
        make_storage(StorageOptions(kind="directory", place={"path": str(tmp_path / "no")}))


@pytest.mark.parametrize(
    ("setting_up", "expected"),
    [
        (None, "DIRAC is not installed for .* the option environment"),
        ("return 3", r"not set up here: .*diracrc.* has ended \(exit code 3\)"),
        ("PATH=/nowhere", r"exit code 127"),
    ],
)
def test_without_dirac_the_way_to_it_is_told(tmp_path, setting_up, expected):
    place = {"elements": ["CC-IN2P3-Disk"]}
    if setting_up is not None:
        (tmp_path / "diracrc").write_text(setting_up)
        place["environment"] = str(tmp_path / "diracrc")
    with pytest.raises(UsageError, match=expected):
        make_storage(StorageOptions(kind="dirac", place=place))


def test_a_file_to_set_dirac_up_with_that_is_not_there_is_named():
    place = {"elements": ["CC-IN2P3-Disk"], "environment": "/no/diracrc"}
    with pytest.raises(UsageError, match="no file /no/diracrc here to set up DIRAC with"):
        make_storage(StorageOptions(kind="dirac", place=place))
