"""The science: pure functions on arrays and tables (see docs/architecture.md)."""
