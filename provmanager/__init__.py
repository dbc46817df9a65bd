"""The record: model, formats, store, service, client and capture of provenance."""
