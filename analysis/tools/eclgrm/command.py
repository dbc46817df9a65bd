"""`eclgrm`: its subcommands, each loaded only when it is called."""

import click

from analysis.tools.process import ToolGroup

TASKS = {
    name.replace("_", "-"): (f"{__package__}.{module}", told)
    for name, module, told in (
        ("simulate", "simulate", "Simulate a burst as ECLAIRs and GRM would record it."),
        ("import_gbm", "import_gbm", "Make a burst file of event files of Fermi GBM."),
        ("otloc", "otloc", "Find the trigger and where the burst is: TT, QCL, QPO."),
        ("rsp", "rsp", "Make the responses to the burst's position: RSP."),
        ("qtemp", "qtemp", "Light curves, durations, peak fluxes: OBLC, QLC, QT90, QPF."),
        ("qspec", "qspec", "Fit the spectrum of all detectors: QSP."),
        ("qhr", "qhr", "Measure the hardness: QHR."),
        ("class", "classify", "Classify the burst from duration and hardness: CRCLASS."),
        ("config", "config", "Print the settings of all tasks."),
    )
}
"""Name of each subcommand, its module, and what it does; in the order of the pipeline."""

_EPILOG = """\b
Exit codes: 0 ok, 1 failed, 2 wrong use, 3 not found, 130 interrupted.
"""


@click.group(cls=ToolGroup, tasks=TASKS, epilog=_EPILOG)
@click.version_option(package_name="provmanager", prog_name="eclgrm")
def main() -> None:
    """Analyse a gamma-ray burst from photons to its class, and record each step.

    \b
    Example:
      eclgrm simulate
      eclgrm otloc BURST_sb26112101.fits --instrument ECL
      eclgrm rsp BURST_sb26112101.fits --instrument ECL --position QPO_ECL_sb26112101.fits

    Each subcommand reads files, writes its products as FITS (and a picture where that helps) into
    the output directory, and appends what it did to the file that PROV_RUN_FILE names, else to
    eclgrm-TASK.prov.json in the working directory: prod-add-prov delivers it. A task that fails
    leaves no product, and its record says why.
    """
