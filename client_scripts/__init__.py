"""The prod-* commands, one file each, also as ``prod <name>``."""
