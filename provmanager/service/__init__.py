"""The HTTP service: thin routes over `provmanager.logic`."""
