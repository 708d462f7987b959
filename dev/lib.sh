# dev/lib.sh: what the scripts of this folder share.  Sourced by bash, not run.
#
# Three questions are answered here once: which packages this system needs, as
# which user a server runs and where its files may lie, and how the development
# cluster is started and stopped.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# The cluster here is reached by its socket, whatever servers the caller works with.
unset PGHOST PGPORT PGUSER PGSERVICE PGOPTIONS

# Longest path of a unix socket (sun_path) less the name PostgreSQL gives it.
SOCKET_DIR_MAX=85

# Messages.  A step is one line, "  name       text".
step() { printf '  %-10s %s\n' "$1" "$2"; }
title() { printf '\n%s\n' "$1"; }
die()
{
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

# now_ms: milliseconds of the clock.  seconds_since MS: the time gone, "1.2 s".
now_ms() { date +%s%3N; }
seconds_since() { awk -v ms=$(($(now_ms) - $1)) 'BEGIN { printf "%.1f s", ms / 1000 }'; }

# quietly LOG COMMAND...: runs the command with its output in LOG; when it
# fails, shows the end of that and ends the script.
quietly()
{
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		die "failed: $* (whole output in $log)"
	fi
}

# as_root COMMAND...: runs it as root, through sudo where we are somebody else.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root, and there is no sudo: $*"
	fi
}

# server_user: who runs servers.  PostgreSQL refuses root.
server_user()
{
	if [ "$(id -u)" -eq 0 ]; then echo postgres; else id -un; fi
}

# as_server COMMAND...: runs it as server_user, in a folder that user can be in.
as_server()
{
	if [ "$(id -u)" -eq 0 ]; then
		(cd / && runuser -u postgres -- env HOME=/ "$@")
	else
		(cd / && "$@")
	fi
}

# system_release: sets PG_MAJOR (the PostgreSQL of this Debian release), PACKAGES (what
# building, running and most tests take), TEST_PACKAGES (what fuzz targets and
# sqlsmith take) and FUZZ_CC (a compiler with libFuzzer).
system_release()
{
	local id=unknown version=
	if [ -r /etc/os-release ]; then
		id=$(. /etc/os-release && echo "$ID")
		version=$(. /etc/os-release && echo "${VERSION_ID:-}")
	fi
	case $id:$version in
	debian:12) PG_MAJOR=15 CLANG=14 ;;
	debian:13) PG_MAJOR=17 CLANG=19 ;;
	*) die "these scripts know Debian 12 and 13, not $id $version; see README.md for building by hand" ;;
	esac
	PACKAGES="postgresql-$PG_MAJOR postgresql-server-dev-$PG_MAJOR gcc libc6-dev make bison flex perl libipc-run-perl libzstd-dev liblz4-dev libopenblas0-pthread"
	TEST_PACKAGES="clang-$CLANG libclang-rt-$CLANG-dev sqlsmith"
	FUZZ_CC=clang-$CLANG
}

# missing_packages NAME...: those of them that are not installed.
missing_packages()
{
	local name
	for name; do
		case $(dpkg-query -W -f '${Status}' "$name" 2>/dev/null) in
		"install ok installed") ;;
		*) printf '%s ' "$name" ;;
		esac
	done
}

# install_packages NAME...: installs those that are missing and says which.
# Nothing else of the system changes: while Debian's packages are configured, a
# drop-in keeps them from making a cluster of their own, and it goes afterwards.
install_packages()
{
	local missing dropin=/etc/postgresql-common/createcluster.d/milvus-dev.conf log
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	step packages "installing $missing"
	log=$(mktemp /tmp/milvus-packages.XXXXXX)
	as_root mkdir -p "${dropin%/*}"
	echo "create_main_cluster = false" | as_root tee "$dropin" >/dev/null
	trap 'as_root rm -f '"$dropin"'; as_root rmdir '"${dropin%/*}"' 2>/dev/null' EXIT
	quietly "$log" as_root apt-get -q update
	# shellcheck disable=SC2086
	quietly "$log" as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q install -y --no-install-recommends $missing
	as_root rm -f "$dropin"
	as_root rmdir "${dropin%/*}" 2>/dev/null || true
	trap - EXIT
	rm -f "$log"
}

# find_server: sets PG_CONFIG (kept when the caller's environment names one) and
# PGBIN, the folder of its programs.
find_server()
{
	system_release
	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
	[ -x "$(command -v "$PG_CONFIG")" ] || die "$PG_CONFIG is not there: run ./dev/setup"
	PGBIN=$("$PG_CONFIG" --bindir)
}

# state_dir: sets STATE, the folder of everything these scripts make: .dev/ in
# the checkout, or a folder in /var/tmp where the server's user cannot reach or
# write the checkout or a socket's path would grow too long.
state_dir()
{
	local owner
	owner=$(server_user)
	STATE=$ROOT/.dev
	if [ "$(id -u)" -eq 0 ] && as_server test -x "$ROOT"; then
		[ -d "$STATE" ] || install -d -o "$owner" -m 755 "$STATE"
	else
		mkdir -p "$STATE" 2>/dev/null || true
	fi
	if [ ${#STATE} -gt $SOCKET_DIR_MAX ] || ! as_server test -O "$STATE" || ! as_server test -w "$STATE"; then
		STATE=/var/tmp/milvus-dev-$(printf '%s' "$owner:$ROOT" | cksum | cut -d' ' -f1)
		[ -d "$STATE" ] || as_server mkdir -m 700 "$STATE"
		as_server test -O "$STATE" || die "$STATE belongs to somebody else"
	fi
}

# The development cluster: data in $STATE/cluster, socket in $STATE/socket
# (closed to others, so that the cluster can trust who comes), no TCP.
cluster_running()
{
	as_server "$PGBIN/pg_ctl" -D "$STATE/cluster" status >/dev/null 2>&1
}

cluster_start()
{
	local made
	if cluster_running; then
		return
	fi
	as_server mkdir -p -m 700 "$STATE/socket"
	made=$(as_server cat "$STATE/cluster/PG_VERSION" 2>/dev/null || true)
	if [ -z "$made" ]; then
		quietly "$(state_log initdb)" as_server "$PGBIN/initdb" -D "$STATE/cluster" \
			-U postgres -A trust -E UTF8 --locale=C.UTF-8
		as_server tee -a "$STATE/cluster/postgresql.conf" >/dev/null <<-CONF
			listen_addresses = ''
			unix_socket_directories = '$STATE/socket'
			shared_buffers = 256MB
			maintenance_work_mem = 256MB
		CONF
	elif [ "$made" != "$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')" ]; then
		die "the cluster in $STATE/cluster is of PostgreSQL $made: remove that folder to begin anew"
	fi
	if ! as_server "$PGBIN/pg_ctl" -w -s -D "$STATE/cluster" -l "$STATE/server.log" start; then
		as_server tail -n 20 "$STATE/server.log" >&2
		die "the server did not start (log in $STATE/server.log)"
	fi
}

cluster_stop()
{
	if cluster_running; then
		as_server "$PGBIN/pg_ctl" -w -s -D "$STATE/cluster" -m fast stop
	fi
}

# state_log NAME: a log file of ours in the state folder.
state_log()
{
	as_server touch "$STATE/$1.log"
	echo "$STATE/$1.log"
}

# cluster_psql ARGUMENT...: psql as the superuser of the development cluster.
cluster_psql()
{
	"$PGBIN/psql" -h "$STATE/socket" -p 5432 -U postgres "$@"
}
