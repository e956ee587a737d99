# Starts Postgres on a volume, in this project's image and in the official one; `ready` asks whether it answers.
set -eu
newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
PATH="${newest:+$newest:}$PATH"

if [ "${1:-}" = ready ]; then
  exec pg_isready -q -h 127.0.0.1 -U swath -d swath
fi

# Single-user mode takes a statement a line.
alone() { postgres --single -D "$1" postgres >/dev/null; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Made beside its place: a start that was cut off is begun anew.
  rm -rf "$PGDATA.new"
  initdb -D "$PGDATA.new" --username=postgres --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
  printf 'host all all all scram-sha-256\n' >>"$PGDATA.new/pg_hba.conf"
  printf 'CREATE ROLE swath LOGIN;\nCREATE DATABASE swath OWNER swath;\n' | alone "$PGDATA.new"
  mv "$PGDATA.new" "$PGDATA"
fi
# Volumes that are given to a group are opened to it, which Postgres does not take.
chmod 0700 "$PGDATA"
rm -f "$PGDATA/postmaster.pid"
# The password of the Secret holds, whatever it was when these data were made.
printf "ALTER ROLE swath PASSWORD '%s';\n" "$SWATH_PASSWORD" | alone "$PGDATA"

postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=200 &
server=$!
# SIGTERM would have Postgres wait for every client to leave.
trap 'kill -INT $server' TERM INT
wait $server || true
trap '' TERM INT
wait $server
