"""The page on imports says what is read of the real runs of other systems."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).resolve().parents[2] / "docs" / "imports.py"


def test_the_table_is_what_the_data_give(prov_data: Path):
    spec = importlib.util.spec_from_file_location("imports_page", PATH)
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.with_table(text, page.table(prov_data)) == text, "run: python docs/imports.py"
