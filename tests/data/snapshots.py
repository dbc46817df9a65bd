"""Committed snapshots: JSON files that tests compare with what the code is now.

Renew them after a change that is meant, and look at the difference before committing it::

    PROV_RENEW_SNAPSHOTS=1 pytest tests/unit/test_public_api.py tests/service/test_openapi.py
"""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RENEW = "PROV_RENEW_SNAPSHOTS"


def assert_is_snapshot(name: str, found: Any) -> None:
    """Compare `found` (JSON) with the snapshot `name`, or write it where that is asked for."""
    path = FOLDER / f"{name}.json"
    if os.environ.get(RENEW):
        path.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    held = json.loads(path.read_text()) if path.exists() else None
    differences = list(_differences(held, found, ""))
    assert not differences, (
        f"{path.name} differs in {', '.join(differences[:8])}. If that is meant, run\n"
        f"  {RENEW}=1 pytest tests/unit/test_public_api.py tests/service/test_openapi.py"
    )


def _differences(held: Any, found: Any, where: str) -> Any:
    if isinstance(held, dict) and isinstance(found, dict):
        for key in sorted({*held, *found}):
            place = f"{where}/{key}"
            if key not in held:
                yield f"{place} (new)"
            elif key not in found:
                yield f"{place} (gone)"
            else:
                yield from _differences(held[key], found[key], place)
    elif held != found:
        yield where or "/"
