"""The command ``eclgrm``: one subcommand a task of the VHF pipeline of ECLAIRs and GRM."""

from .command import main

__all__ = ["main"]
