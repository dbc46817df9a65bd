"""The commands that jobs run: options, reading, pure functions, writing, the record of it all."""
