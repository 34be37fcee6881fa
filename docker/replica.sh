#!/bin/sh
# Copy a primary, unless that is done, and follow it as a streaming standby.
#
#   replica.sh FOLDER PRIMARY postgres [option ...]
#
# PRIMARY is a connection string without a password, which PGPASSWORD has. A copy that was interrupted
# begins again.
set -eu

folder=$1 primary=$2
shift 2

if [ ! -d "$folder/standby" ]; then
    rm -rf "$folder/unfinished"
    pg_basebackup --pgdata="$folder/unfinished" --dbname="$primary" --write-recovery-conf \
        --checkpoint=fast --wal-method=stream --no-password
    mv "$folder/unfinished" "$folder/standby"
fi
# Not the address of the copy: the password may be another one by now.
exec "$@" -D "$folder/standby" -c "primary_conninfo=$primary" -c hot_standby_feedback=on
