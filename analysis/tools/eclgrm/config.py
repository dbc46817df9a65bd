"""`eclgrm config`: print the settings."""

import json
import sys
from pathlib import Path

import click

from analysis.tools.process import ToolCommand

from .configuration import load_configuration
from .task import config_options


@click.command("config", cls=ToolCommand)
@config_options
@click.argument("section", required=False)
def main(configuration: Path | None, settings: tuple[str, ...], section: str | None) -> None:
    """Print the settings of all tasks, or of one SECTION, as JSON.

    \b
    Examples:
      eclgrm config > config.json            the defaults, to edit
      eclgrm config qtemp --set qtemp.GRM.bin_s=0.128

    Every setting is described in schemas/eclgrm-config.v1.json.
    """
    shown = load_configuration(configuration, settings)
    if section is not None:
        if section not in shown:
            raise click.BadParameter(f"no section {section!r}; expected {', '.join(shown)}")
        shown = shown[section]
    sys.stdout.write(json.dumps(shown, indent=1) + "\n")
