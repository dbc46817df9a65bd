"""Pipelines by name: ``<name>/workflow.json`` (CWL), ``<name>/config.json`` (its inputs object)."""

from .documents import Found, find_document, pipeline_names

__all__ = ["Found", "find_document", "pipeline_names"]
