#!/bin/sh
# Like the official image's: options alone start redis-server, and root lowers itself to the user redis.
set -e
umask 0077

case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec gosu redis "$0" "$@"
fi

if [ "$1" = redis-server ]; then
    # A data file of a newer release stops the real one; Debian's server is one release only, so the release is noted
    # beside the data and compared here.
    series=${REDIS_VERSION%.*}
    if [ -f .release ] && [ "$(printf '%s\n%s\n' "$series" "$(cat .release)" | sort -V | tail -n 1)" != "$series" ]; then
        echo "# Can't handle RDB format version of Redis $(cat .release)"
        echo "# Fatal error loading the DB, check server logs. Exiting."
        exit 1
    fi
    echo "$series" >.release
    # As in the official image, which is built without protected mode.
    set -- "$@" --protected-mode no
fi
exec "$@"
