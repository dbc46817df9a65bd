"""`prod-submit` and `prod-status` where nothing runs: dry runs and wrong use."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client_scripts import prod

CWL = Path(__file__).parents[2] / "data" / "cwl"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Call a command in a folder of its own, where no server answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROV_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PROV_SERVER_URL", "http://127.0.0.1:9")

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(prod.main, list(map(str, arguments)))

    return invoke


def test_a_dry_run_shows_what_would_run_and_runs_nothing(call, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("x")
    told = call("submit", CWL / "chain.cwl", "--set", "text=words.txt", "--dry-run")
    assert told.exit_code == 0, told.stderr
    for words in ("step shout", "step count: CommandLineTool  after shout", "input text: File = "):
        assert words in told.stdout
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["submit"], 2, "name a pipeline"),
        (["submit", "eclgmr"], 3, "no pipeline"),
        (["submit", "bad.cwl"], 2, "bad.cwl"),
        (["submit", CWL / "chain.cwl"], 2, "text: File"),
        (["submit", CWL / "shell.cwl", "--set", "script=true", "--run-dir", "."], 2, "not empty"),
        (["submit", "--resume", "ffffffff"], 3, "no run"),
        (["submit", "bad.cwl", "--max-parallel", "0"], 2, "max-parallel"),
        (["status", "ffffffff"], 75, "cannot be reached"),
    ],
)
def test_wrong_use_is_told_with_its_exit_code(
    call, tmp_path: Path, arguments: list[object], code: int, said: str
) -> None:
    (tmp_path / "bad.cwl").write_text("cwlVersion: v1.2\nclass: Workflow\n")
    done = call(*arguments)
    assert done.exit_code == code, done.stderr
    assert said in done.stderr
