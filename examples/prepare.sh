# What the demonstrations have in common: sourced, with $here, the top of the tree, and set before:
#   extra    what of provmanager is to be installed
#   demo     folder for everything
#   as_root  state directory for root, where that folder is closed to other accounts
cd "$here"
sh .ci/venv "$extra"
PATH=$(cd "${VENV:-.venv}/bin" && pwd):$PATH
export PATH

# A server, token or database of yours is none of the demo's.
for name in $(env | sed -n 's/^\(PROV_[A-Z_]*\)=.*/\1/p'); do
    unset "$name"
done

is_closed() { # whether other accounts cannot enter a folder, or one above it
    folder=$1
    while :; do
        case $(stat -c %A "$folder") in *[xt]) ;; *) return 0 ;; esac
        [ "$folder" != / ] || return 1
        folder=$(dirname "$folder")
    done
}

mkdir -p "$demo"
demo=$(cd "$demo" && pwd)
PROV_STATE_DIR=$demo/state
if [ "$(id -u)" = 0 ] && is_closed "$demo"; then
    # PostgreSQL does not run as root, and the account that runs it cannot enter this folder.
    PROV_STATE_DIR=$as_root
fi
PROV_PICTURE_ROOT=$demo # the pages show the quick-look pictures that lie there
export PROV_STATE_DIR PROV_PICTURE_ROOT
cat >"$demo/env" <<END
export PROV_STATE_DIR='$PROV_STATE_DIR'
export PROV_PICTURE_ROOT='$PROV_PICTURE_ROOT'
export PATH='${PATH%%:*}':\$PATH
END

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

is_recorded() {
    prod-trace --quiet "$1" >/dev/null 2>&1
}

records=$demo/records # of what runs outside of a pipeline
record() {            # run a task of eclgrm, and deliver its record
    rm -rf "$records"
    mkdir "$records"
    PROV_RUN_FILE=$records
    export PROV_RUN_FILE
    run "$@"
    unset PROV_RUN_FILE
    run prod-add-prov "$records"
}
