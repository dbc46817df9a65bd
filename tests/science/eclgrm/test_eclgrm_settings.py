"""The settings of the eclgrm tasks: defaults, changes, and errors that say where and what else."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import schemas
from analysis.tools.eclgrm.configuration import SCHEMA, digest, load_configuration
from analysis.tools.process import NotFoundError, WrongUseError


def test_the_defaults_are_valid_and_complete():
    schema = schemas.load(SCHEMA)
    Draft202012Validator.check_schema(schema)
    filled = load_configuration(None)
    assert list(Draft202012Validator(schema).iter_errors(filled)) == []
    assert filled["qtemp"]["GRM"]["search_kev"] == [50, 300]
    assert set(filled) == set(schema["properties"])


def test_every_setting_says_what_it_is():
    def silent(schema: dict, at: str) -> list[str]:
        if "properties" in schema:
            return [s for k, v in schema["properties"].items() for s in silent(v, f"{at}/{k}")]
        return [] if schema.get("description") and "default" in schema else [at]

    assert silent(schemas.load(SCHEMA), "") == []


def test_file_wins_over_defaults_and_changes_win_over_the_file(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"qtemp": {"seed": 5, "GRM": {"bin_s": 0.5}}}))
    found = load_configuration(path, ["qtemp.GRM.bin_s=0.25", 'qspec.models=["band"]'])
    assert found["qtemp"]["seed"] == 5
    assert found["qtemp"]["GRM"]["bin_s"] == 0.25
    assert found["qtemp"]["ECL"]["bin_s"] == 0.064
    assert found["qspec"]["models"] == ["band"]


def test_yaml_says_the_same_as_json(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("qtemp:\n  GRM:\n    bin_s: 0.5\n")
    assert load_configuration(path) == load_configuration(None, ["qtemp.GRM.bin_s=0.5"])


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("qtemp.GRM.bin=1", "/qtemp/GRM/bin: there is no such setting; did you mean bin_s"),
        ("qtmp.seed=1", "/qtmp: there is no such setting; did you mean qtemp"),
        ("qtemp.GRM.bin_s=-1", "/qtemp/GRM/bin_s: -1 is less than or equal to the minimum of 0"),
        ("qtemp.GRM.bin_s=soon", "/qtemp/GRM/bin_s: 'soon' is not of type 'number'"),
        ("qtemp.GRM.energy_kev=[300,50]", "/qtemp/GRM/energy_kev: .*the lower end first"),
        ("qtemp.GRM.energy_kev=[300]", "/qtemp/GRM/energy_kev: "),
        ("qspec.models=[\"black body\"]", "/qspec/models/0: 'black body' is not one of"),
        ("qspec.interval_s=[5,1]", "/qspec/interval_s: .*the lower end first"),
        ("qspec.energy_kev={\"ECL\":[[9,5]]}", "/qspec/energy_kev/ECL: .*the lower end first"),
        ("qtemp", "expected task.setting=value"),
        ("qtemp.seed.x.y=1", "/qtemp/seed"),
    ],
)  # fmt: skip
def test_an_impossible_setting_is_named_with_what_was_expected(change: str, message: str):
    with pytest.raises(WrongUseError, match=message) as caught:
        load_configuration(None, [change])
    assert caught.value.exit_code == 2


def test_a_setting_inside_a_value_is_refused():
    with pytest.raises(WrongUseError, match="seed is a value, not a section"):
        load_configuration(None, ["qtemp.seed=1", "qtemp.seed.x=1"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", "{", "c.json, line 1, column 2: .*; expected JSON"),
        ("c.json", "[]", "c.json: holds list; expected an object"),
        ("c.yaml", "a: [", "c.yaml: .*; expected YAML"),
        ("c.json", '{"qtemp": {"sed": 1}}', "c.json: /qtemp/sed: .*did you mean seed"),
    ],
)
def test_an_impossible_file_is_named(tmp_path: Path, name: str, text: str, message: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(WrongUseError, match=message):
        load_configuration(path)


def test_a_missing_file_is_not_found(tmp_path: Path):
    with pytest.raises(NotFoundError, match="no such configuration file") as caught:
        load_configuration(tmp_path / "absent.json")
    assert caught.value.exit_code == 3
