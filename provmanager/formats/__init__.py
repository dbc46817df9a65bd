"""Readers and writers of provenance documents, one module a format."""
