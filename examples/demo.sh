#!/bin/sh
# The main job, end to end: start a server with its embedded database, record the real runs of
# examples/chain (six runs of ctapipe tools, from simulated events to reconstructed energies), say
# what such runs are expected to be, and ask where the last product came from. Then simulate a
# gamma-ray burst, run the pipeline eclgrm on it, and ask where its duration came from. Where
# GBM_DATA names a folder with the files of GRB 080916C, the same pipeline runs on these as well.
#
#     sh examples/demo.sh        (or: make demo)
#
# Does all the set-up that it needs. Again is no harm: the second time changes nothing.
# Everything lies under .demo/ (or DEMO_DIR); what you keep elsewhere is not touched.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
extra=all
demo=${DEMO_DIR:-$here/.demo}
as_root=/var/lib/provmanager-demo
. "$here/examples/prepare.sh"

run prod-server start --background --port 0
run prod-init-prov examples/ctapipe-descriptions.yaml
run prod-add-prov examples/chain
run prod-trace mu_applied.dl2.h5
run prod-trace mu_applied.dl2.h5 --format svg --output "$demo/lineage.svg"

if ! is_recorded CRCLASS_sb26112101.fits; then
    rm -rf "$demo/burst"
    record eclgrm simulate --output-dir "$demo/burst"
    run prod-submit eclgrm --set burst="$demo/burst/BURST_sb26112101.fits" \
        --run-dir "$demo/burst/run"
fi
run prod-trace QT90_ECL_sb26112101.fits

if [ -n "${GBM_DATA:-}" ] && ! is_recorded CRCLASS_bn080916009.fits; then
    rm -rf "$demo/gbm"
    record eclgrm import-gbm "$GBM_DATA/glg_tte_n3_bn080916009_v01.fit.gz" \
        "$GBM_DATA/glg_tte_b0_bn080916009_v01.fit.gz" --output-dir "$demo/gbm"
    run prod-submit eclgrm --config jobs/pipelines/eclgrm/config-gbm.json \
        --set burst="$demo/gbm/BURST_bn080916009.fits" \
        --set trigdat="$GBM_DATA/glg_trigdat_all_bn080916009_v02.fit" \
        --set matrices="$GBM_DATA/glg_cspec_n3_bn080916009_v00.rsp2" \
        --set matrices="$GBM_DATA/glg_cspec_b0_bn080916009_v00.rsp2" --run-dir "$demo/gbm/run"
fi
[ -z "${GBM_DATA:-}" ] || run prod-trace CRCLASS_bn080916009.fits

cat <<END

The lineage as a picture, for a browser:

  $demo/lineage.svg

The products of the burst, with pictures of light curves, sky, spectrum and class:

  $demo/burst/run/products

The server goes on, with its data in $PROV_STATE_DIR. To go on with it:

  . '$demo/env'
  prod-trace lst_muons.simtel.zst --down          what came of the raw file
  prod-search activities --package scikit-learn   what ran with a package
  prod-add-prov FILE                              record runs of your own
  prod-server open                                a link to the pages, for a browser
  prod-server stop                                stop it; the record stays
END
