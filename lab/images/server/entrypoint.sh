#!/usr/bin/env bash
# The entrypoint of the image: one command a role, as in the official image.
set -euo pipefail

if (($# == 0)); then
  echo "The server type was not stated. It should be either apiserver, webserver or fileserver."
  sleep 60
  exit 1
fi

case "$1" in
  apiserver | fileserver | webserver)
    mkdir -p /var/log/clearml
    exec python3 -m "clearml_lab.$1" "${@:2}"
    ;;
  *)
    echo "Server type $1 is invalid. Please choose either apiserver, webserver or fileserver."
    ;;
esac
