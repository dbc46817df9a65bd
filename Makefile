# Each of these does all the set-up that it needs: a virtual environment in .venv, made once.
# Without make:  sh examples/demo.sh   and   sh .ci/test
#
# PYTHON=…   the Python to make .venv with (3.11 or newer)
# VENV=…     an environment of your own to use instead, with provmanager[test] in it
# PYTEST=…   options for pytest, such as PYTEST="-k identity"

export PYTHON VENV
BIN = $(or $(VENV),.venv)/bin

.PHONY: help demo grid-demo test docs wheel

help:
	@echo "make demo    record a chain of real runs on an embedded server, and trace its product;"
	@echo "             run the pipeline eclgrm on a simulated burst, and trace its duration"
	@echo "make grid-demo  the same as grid jobs of a real DiracX on this machine, from token to trace"
	@echo "make test    every check and the whole test suite"
	@echo "make docs    write the generated pages of docs/ anew"
	@echo "make wheel   build the wheel into dist/"

demo:
	@sh examples/demo.sh

grid-demo:
	@sh examples/grid_demo.sh

test:
	@sh .ci/test $(PYTEST)

docs:
	@sh .ci/venv all
	@$(BIN)/python docs/commands.py
	@$(BIN)/python docs/http_api.py

wheel:
	@sh .ci/venv all
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
