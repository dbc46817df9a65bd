"""Turning a workflow into runs: workflows, engines, triggers (see docs/architecture.md)."""
