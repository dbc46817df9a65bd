"""Text for people: what the commands print on a terminal.

Import from the modules: `text` costs a command nothing, `lineage` and `tree` load the model.
"""
