#!/bin/sh
# Like the official image's: options alone start mongod, root lowers itself to the user mongodb, and mongod
# listens on all addresses unless told otherwise.
set -e

case ${1:-} in
    -*) set -- mongod "$@" ;;
esac

if [ "$1" = mongod ] && [ "$(id -u)" = 0 ]; then
    find /data/db /data/configdb \! -user mongodb -exec chown mongodb '{}' +
    exec gosu mongodb "$0" "$@"
fi

if [ "$1" = mongod ]; then
    case " $* " in
        *" --bind_ip "* | *" --bind_ip="* | *" --bind_ip_all "*) ;;
        *) set -- "$@" --bind_ip_all ;;
    esac
fi
exec "$@"
