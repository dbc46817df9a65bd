"""Bursts as ECLAIRs and GRM see them: light curves, trigger, durations (SVOM VHF, ECLGRM).

Import the submodules: `io` reads files, all others are pure functions.
"""
