#!/bin/sh
# Build the packages for pip, the service and its client alone, in a copy of the tree: nothing is left behind beside them, and weights
# that lie in ml_models do not get into them.
#
#   deployment/scripts/wheel.sh dist
#
# Needs setuptools and wheel (requirements/build.txt) in the Python that PYTHON names (python3).
set -eu

target=${1:?usage: wheel.sh FOLDER}
python=${PYTHON:-python3}
source=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$target"
target=$(cd "$target" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cd "$source"
cp -R facesvc recognition management batch ml_models docs pyproject.toml README.md README.th.md CHANGELOG.md LICENSE "$copy"
mkdir -p "$copy/client/facesvc"
cp facesvc/__init__.py facesvc/py.typed "$copy/client/facesvc"
cp -R facesvc/client facesvc/moving "$copy/client/facesvc"
cp deployment/client/pyproject.toml LICENSE "$copy/client"
cp docs/client.md "$copy/client/README.md"
cd "$copy"
for package in . ./client; do
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
        --no-index --wheel-dir "$target" "$package"
done
