#!/bin/sh
# As the entrypoint of postgres:17: makes the database in an empty volume, then becomes the server.
set -eu

if [ "$1" = postgres ]; then
    mkdir -p "$PGDATA"
    chmod 00700 "$PGDATA" || :
    chmod 03775 /var/run/postgresql || :
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?has to be set}"
    user=${POSTGRES_USER:-postgres}
    words=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$words"
    initdb --username "$user" --pwfile "$words" --auth-local trust --auth-host scram-sha-256
    rm "$words"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # On its socket only: whoever asks over TCP is to find the finished database, or none.
    pg_ctl --wait start --options "-c listen_addresses=''"
    database=${POSTGRES_DB:-$user}
    [ "$database" = postgres ] ||
        psql --quiet --username "$user" --dbname postgres --command "CREATE DATABASE \"$database\""
    pg_ctl --wait stop --mode fast
    sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
fi
exec "$@"
