"""`prod-capture`: run any command and record it."""

import sys

import click


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)
@click.option("--name", help="Name of the activity (default: the command's).")
@click.option("--tool-version", metavar="TEXT", help="Version of the software that runs.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="PATH[:ROLE]",
    help="A file, folder, URL or LFN that it uses.",
)
@click.option(
    "--output", "outputs", multiple=True, metavar="PATH[:ROLE]", help="One that it generates."
)
@click.option(
    "--config",
    "configurations",
    multiple=True,
    metavar="FILE",
    help="A configuration file; JSON and TOML are read as parameters.",
)
@click.option(
    "--record",
    metavar="FILE",
    help="File to append the record to, or folder (default: $PROV_RUN_FILE, else NAME.prov.json).",
)
@click.option(
    "--announce/--no-announce",
    default=None,
    help="Write a record at the start too, as a trace should it be killed.",
)
@click.version_option(package_name="provmanager")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def main(
    name: str | None,
    tool_version: str | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    configurations: tuple[str, ...],
    record: str | None,
    announce: bool | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND and record it as an activity.

    \b
    prod-capture -- ctapipe-process --input events.simtel.zst --output dl1.h5
    prod-capture --input lfn:/vo/raw.fits:events -- ./reduce.sh raw.fits out/

    Standard streams and signals go to the command, and its exit code comes back, as if it had been
    run directly. Files that the command line names and that were there before are its inputs; those
    that come to be or change are its outputs; --input and --output say otherwise. The record is
    appended to NAME.prov.json: deliver it with prod-add-prov.
    """
    from provmanager.capture.command import CommandOptions, NamedFile, run_command
    from provmanager.capture.supervise import CommandNotStartedError, exit_like

    options = CommandOptions(
        name=name,
        version=tool_version,
        inputs=tuple(NamedFile.parse(text) for text in inputs),
        outputs=tuple(NamedFile.parse(text) for text in outputs),
        configurations=configurations,
        record=record,
        announce=announce,
    )
    try:
        code = run_command(command, options)
    except CommandNotStartedError as error:
        click.echo(f"prod-capture: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(exit_like(code))


if __name__ == "__main__":
    main()
