#!/bin/sh
# As in the official image: options alone, or a configuration file, start redis-server, and root lowers itself to redis.
set -e

case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec gosu redis "$0" "$@"
fi

# Files of the data directory are the server's alone.
[ "$(umask)" != 0022 ] || umask 0077
exec "$@"
