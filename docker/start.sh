#!/bin/sh
# Start everything on this machine with Compose. The first start makes docker/.env with new keys.
#
#   docker/start.sh faces.example.com   behind a proxy that speaks TLS for this host
#   docker/start.sh                     to try it: http://127.0.0.1:8000
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
file=$folder/.env

key() {
    head -c 32 /dev/urandom | base64 | tr '+/' '-_'
}

settings() {
    echo "SECRET_KEY=$(key)$(key)"
    echo "FACESVC_CROP_KEYS=$(key)"
    echo "FACESVC_TEMPLATE_KEYS=$(key)"
    echo "POSTGRES_PASSWORD=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
    if [ $# -gt 0 ]; then
        echo "ALLOWED_HOSTS=$1"
    else
        echo "FACESVC_BEHIND_TLS_PROXY=false"
    fi
}

if [ -e "$file" ]; then
    if [ $# -gt 0 ] && ! grep -q "^ALLOWED_HOSTS=.*$1" "$file"; then
        echo "$file is there and allows another host: write ALLOWED_HOSTS=$1 into it" >&2
        exit 1
    fi
else
    umask 077
    # Whole or not at all: keys that change later would make the database unreadable.
    settings "$@" > "$file.new"
    mv "$file.new" "$file"
    echo "Made $file with new keys: keep a copy of it elsewhere" >&2
fi
exec docker compose --file "$folder/docker-compose.yml" up --build --detach
