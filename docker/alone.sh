#!/bin/sh
# Everything in one container: web server, workers, and the embedded PostgreSQL. The volume
# FACESVC_DATA has the database, the models, and the keys of the first start.
#
#   docker/alone.sh [option of `facesvc run` ...]
set -eu

cd "$(dirname "$0")/.."
if [ ! -w "$FACESVC_DATA" ]; then
    echo "$FACESVC_DATA cannot be written: it has to belong to user $(id -u)" >&2
    exit 1
fi
# The models of a new image, too, and what a killed start has left half copied.
(cd data && find . -type f) | while read -r file; do
    cmp -s "data/$file" "$FACESVC_DATA/$file" && continue
    mkdir -p "$(dirname "$FACESVC_DATA/$file")"
    cp "data/$file" "$FACESVC_DATA/$file"
done
if [ ! -e "$FACESVC_DATA/.env" ]; then
    rm -f "$FACESVC_DATA/.env.new"
    python facesvc/keys.py "$FACESVC_DATA/.env.new"
    mv "$FACESVC_DATA/.env.new" "$FACESVC_DATA/.env"
fi
exec python -m facesvc run --host 0.0.0.0 "$@"
