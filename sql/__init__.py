"""Forward-only migrations ``NNNN_verb_noun.sql``; 0001 is the DDL of the record."""

from importlib.resources import files

__all__ = ["migrations"]


def migrations() -> list[tuple[str, str]]:
    """Return (file name, SQL text) of every migration, in the order in which they apply."""
    scripts = [item for item in files(__name__).iterdir() if item.name.endswith(".sql")]
    return [(item.name, item.read_text("utf-8")) for item in sorted(scripts, key=lambda i: i.name)]
