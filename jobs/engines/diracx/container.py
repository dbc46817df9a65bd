"""The container image that a job runs in on its node, whole: how its script enters it."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

# POSIX sh, as nodes and images have it. The script starts itself again within the image. There, the
# job's folder, the folders of its credentials and what the operator names have the paths that they
# have outside. Apptainer hands the environment on by itself, the others what is named.
_ENTER = """\
if [ -z "$PROV_NODE_WITHIN" ]; then
    image={image}
    wanted={engine}
    binds={binds}
    engine=
    for one in ${{wanted:-apptainer singularity podman docker}}; do
        if command -v "$one" >/dev/null; then engine=$one; break; fi
    done
    if [ -z "$engine" ]; then
        echo "the job is to run in the container image $image, and there is no" \\
            "${{wanted:-apptainer, singularity, podman or docker}} on $(uname -n)" >&2
        exit 127
    fi
    digest=
    case $engine in
    apptainer | singularity)
        if [ -e "$image" ]; then image=$(readlink -f "$image"); fi
        if [ -f "$image" ]; then digest=$(sha256sum "$image" | cut -d " " -f 1); fi ;;
    *)
        "$engine" image inspect "$image" >/dev/null 2>&1 || "$engine" pull -q "$image" >&2 || {{
            echo "$engine on $(uname -n) has no container image $image, and cannot pull it" >&2
            exit 127
        }}
        digest=$("$engine" image inspect --format '{{{{.Id}}}}' "$image") ;;
    esac
    unset PROV_CONTAINER_DIGEST
    PROV_NODE_WITHIN=$(uname -n)
    export PROV_NODE_WITHIN PROV_CONTAINER_IMAGE="$image"
    if [ -n "$digest" ]; then export PROV_CONTAINER_DIGEST="sha256:${{digest#sha256:}}"; fi
    folder() {{ if [ -n "$1" ]; then dirname "$1"; fi; }}  # a renewed token is another file
    set -- "$image" /bin/sh {script} "$@"
    bound=
    for one in "$PWD" "$(folder "$DIRACX_CREDENTIALS_PATH")" "$(folder "$X509_USER_PROXY")" \
        "$(folder "$BEARER_TOKEN_FILE")" "$X509_CERT_DIR" $binds; do
        case ":$bound:" in *":$one:"*) continue ;; esac
        bound=$bound:$one
        case $engine in
        apptainer | singularity) set -- --bind "$one" "$@" ;;
        *) set -- --volume "$one:$one" "$@" ;;
        esac
    done
    case $engine in
    apptainer | singularity) exec "$engine" exec --pwd "$PWD" "$@" ;;
    esac
    for one in $(env | cut -d = -f 1 | grep -E '^(JOBID$|DIRAC|PROV_|X509_|BEARER_|AWS_)'); do
        set -- --env "$one" "$@"
    done
    if [ "$engine" = podman ] && [ "$(id -u)" != 0 ]; then set -- --userns=keep-id "$@"; fi
    exec "$engine" run --rm --network=host --uts=host --user "$(id -u):$(id -g)" \
        --env HOME="$PWD" --env TMPDIR="$PWD" --workdir "$PWD" "$@"
fi
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeContainer:
    """The image that a job runs in.

    Attributes
    ----------
    image : str
        Path of a file or folder of Apptainer, or a name that the engine of the node knows.
    engine : str
        ``apptainer``, ``podman`` or ``docker``; by default the first that the node has.
    binds : tuple of str
        Folders of the node that are visible inside, under the same paths.
    """

    image: str
    engine: str = ""
    binds: Sequence[str] = ()

    def enter(self, script: str) -> str:
        """Return the lines by which `script` starts itself again within the image."""
        return _ENTER.format(
            image=shlex.quote(self.image),
            engine=shlex.quote(self.engine),
            binds=shlex.quote(" ".join(self.binds)),
            script=shlex.quote(script),
        )

    @property
    def tag(self) -> str:
        """What tells apart what is installed for this image and for others."""
        return hashlib.sha256(self.image.encode()).hexdigest()[:8]
