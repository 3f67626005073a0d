#!/bin/sh
# As in the official image: options alone start mongod, root lowers itself to the user mongodb, and mongod listens on
# all addresses unless it is told otherwise.
set -e

if [ -n "${MONGO_INITDB_ROOT_USERNAME:-}${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
    echo 'The lab'\''s mongo has no accounts: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD cannot be set.' >&2
    exit 1
fi

case ${1:-} in
    -*) set -- mongod "$@" ;;
esac

if [ "$1" = mongod ] && [ "$(id -u)" = 0 ]; then
    find /data/db /data/configdb \! -user mongodb -exec chown mongodb '{}' +
    exec gosu mongodb "$0" "$@"
fi

if [ "$1" = mongod ]; then
    case " $* " in
        *" --bind_ip "* | *" --bind_ip="* | *" --bind_ip_all "* | *" --version "* | *" --help "*) ;;
        *) set -- "$@" --bind_ip_all ;;
    esac
fi
exec "$@"
