#!/bin/sh
# The grid, end to end: a real DiracX on this machine with two workers, a provenance server that takes
# its users' tokens, descriptions, two workflows as grid jobs (the pipeline eclgrm on a simulated
# burst, and a workflow of somebody else's: revsort, as cwltool brings it), the jobs followed and
# brought home, and each product traced through tool and job to who submitted it.
#
#     sh examples/grid_demo.sh        (or: make grid-demo)
#
# Does all the set-up that it needs; DiracX takes some minutes, once. Again is no harm: what is
# recorded is not submitted again. Everything lies under .grid-demo/ (or GRID_DEMO_DIR).
# TESTBED_VENV names an environment that DiracX is in already.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
extra=all,diracx,testbed
demo=${GRID_DEMO_DIR:-$here/.grid-demo}
as_root=/var/lib/provmanager-grid-demo
. "$here/examples/prepare.sh"

told() { # a field of a JSON object on standard input
    python -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

run prod-testbed up --workers 2 ${TESTBED_VENV:+--venv "$TESTBED_VENV"}
DIRACX_URL=$(prod-testbed status --json | told url)
# Elsewhere, `dirac login VO --group GROUP` writes this file.
DIRACX_CREDENTIALS_PATH=$PROV_STATE_DIR/testbed/credentials/production.json

cat >"$demo/issuers.json" <<END
{"issuers": [{"issuer": "$DIRACX_URL", "roles": [
    {"vo": "testbed", "group": "production", "role": "curator"},
    {"vo": "testbed", "role": "recorder"}]}]}
END
PROV_ISSUERS_FILE=$demo/issuers.json run prod-server start --background --port 0
PROV_SERVER_URL=$(told url <"$PROV_STATE_DIR/server.json")
PROV_TOKEN_FILE=$DIRACX_CREDENTIALS_PATH # the token of the grid is the token of the record
export DIRACX_URL DIRACX_CREDENTIALS_PATH PROV_SERVER_URL PROV_TOKEN_FILE
for name in DIRACX_URL DIRACX_CREDENTIALS_PATH PROV_SERVER_URL PROV_TOKEN_FILE; do
    eval "printf 'export %s=%s\n' $name \"'\$$name'\"" >>"$demo/env"
done

run prod-init-prov examples/grid-descriptions.yaml

others=$(python -c 'import cwltool; print(cwltool.__path__[0])')/tests/wf
if [ ! -e "$demo/runs" ]; then
    record eclgrm simulate --set simulate.start_s=-70 --set simulate.stop_s=70 \
        --output-dir "$demo/burst"
    run prod-submit eclgrm --set burst="$demo/burst/BURST_sb26112101.fits" \
        --engine diracx --run-dir "$demo/eclgrm" --detach
    run prod-submit "$others/revsort.cwl" --config "$others/revsort-job.json" \
        --engine diracx --run-dir "$demo/revsort" --detach
    touch "$demo/runs"
fi
run prod-harvest --follow --interval 2
run prod-status
run prod-trace "$demo/eclgrm/products/QT90_ECL_sb26112101.fits" --levels
run prod-trace "$demo/revsort/products/output.txt" --levels

cat <<END

Everything goes on. To go on with it:

  . '$demo/env'
  prod-status                 the runs
  prod-testbed status         the grid
  prod-server open            a link to the pages, for a browser
  prod-testbed down; prod-server stop
END
