"""The parameters that stand in a configuration file."""

from collections.abc import Mapping
from typing import Any

from .shield import logger


def read_configuration(path: str) -> Mapping[str, Any]:  # Any: parameters are free-form
    """Return the parameters in a JSON or TOML file; none of other files."""
    import json
    import tomllib

    name = path.lower()
    try:
        with open(path, "rb") as stream:
            if name.endswith(".json"):
                found = json.load(stream)
            elif name.endswith(".toml"):
                found = tomllib.load(stream)
            else:
                return {}
    except (OSError, ValueError) as error:
        logger.warning("provenance capture: %s was not read as configuration: %s", path, error)
        return {}
    return found if isinstance(found, dict) else {}
