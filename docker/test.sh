#!/usr/bin/env bash
# Builds the image over a Debian made here, without a docker daemon, and calls the container over gRPC.
#
# Needs root and Debian's mmdebstrap, buildah, podman and runc: `apt-get install mmdebstrap buildah podman runc`.
# The build stage uses this machine's Rust, pip settings and certificates; a real build has those in its base image.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=bookworm
PORT=${PORT:-50951}
export BUILDAH_ISOLATION=chroot
PODMAN=(podman --runtime runc --cgroup-manager cgroupfs --events-backend file)
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
SCRATCH=$(mktemp -d)
CONTAINER=waypost-test-$$

finish() {
    "${PODMAN[@]}" rm --force --time 5 "$CONTAINER" >/dev/null 2>&1 || true
    rm -rf "$SCRATCH"
}
trap finish EXIT

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "docker/test.sh needs $tool: apt-get install $tool" >&2; exit 2; }
    done
}

# A base image from Debian's packages: $1 its name, $2 packages beyond the minimum.
base() {
    mmdebstrap --quiet --variant=minbase --include="ca-certificates,$2" "$SUITE" "$SCRATCH/base.tar"
    local made
    made=$(buildah from scratch)
    buildah add --quiet "$made" "$SCRATCH/base.tar" / >/dev/null
    buildah config --env PATH=/opt/rust/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$made"
    buildah commit --quiet --rm "$made" "$1" >/dev/null
    rm "$SCRATCH/base.tar"
}

# Settings of pip that the build stage shall share, as build arguments are no place for them.
pip_settings() {
    env | grep -E '^PIP_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT|CERT)=' | sed 's/^/--env=/' || true
}

image() {
    mapfile -t settings < <(pip_settings)
    buildah build --quiet --layers --format docker --file docker/Dockerfile --tag waypost-test \
        --build-arg BUILD_BASE=localhost/waypost-build-base --build-arg BASE=localhost/waypost-base \
        --volume "$CERTIFICATES:$CERTIFICATES:ro" \
        --volume "$(rustc --print sysroot):/opt/rust:ro" \
        "${settings[@]}" . >/dev/null
}

started() {
    "${PODMAN[@]}" run --detach --name "$CONTAINER" --network host --env "WAYPOST_ADDRESS=127.0.0.1:$PORT" \
        --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
        --volume "$CERTIFICATES:$CERTIFICATES:ro" \
        waypost-test up --listen "127.0.0.1:$PORT" --http 127.0.0.1:0 >/dev/null
    for _ in $(seq 120); do
        .venv/bin/waypost status --address "127.0.0.1:$PORT" >/dev/null 2>&1 && return
        read -rt 1 <> <(:) || true # a pause between looks
    done
    "${PODMAN[@]}" logs "$CONTAINER" >&2
    return 1
}

called() {
    .venv/bin/waypost embed "hello from outside" --address "127.0.0.1:$PORT" --json |
        .venv/bin/python -c 'import json, sys; assert len(json.load(sys.stdin)["vectors"][0]) == 384'
    .venv/bin/waypost generate "Say hello." --max-tokens 8 --address "127.0.0.1:$PORT" --json |
        .venv/bin/python -c 'import json, sys; assert json.load(sys.stdin)["text"]'
    .venv/bin/waypost classify "a warm, funny and moving film" --head sentiment --address "127.0.0.1:$PORT"
    [ "$("${PODMAN[@]}" exec "$CONTAINER" id -u)" = 10001 ]
    "${PODMAN[@]}" healthcheck run "$CONTAINER"
}

need mmdebstrap buildah podman runc rustc
.venv/bin/hadolint docker/Dockerfile
base waypost-base libgomp1,python3
base waypost-build-base build-essential,python3,python3-venv
image
started
called
"${PODMAN[@]}" stop --time 30 "$CONTAINER" >/dev/null
[ "$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' "$CONTAINER")" = 0 ]
echo "1 passed, 0 failed"
