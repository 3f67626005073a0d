#!/bin/bash
# Like the official image's: `eswrapper` starts Elasticsearch, with each environment variable whose name has a dot as a setting.
set -euo pipefail

if [[ ${1:-eswrapper} != eswrapper ]]; then
    exec "$@"
fi

settings=()
while IFS='=' read -r -d '' name value; do
    case $name in
        ingest.geoip.*) ;; # that module is not in this distribution, and Elasticsearch refuses settings that it does not know
        [a-z]*.*) settings+=("-E$name=$value") ;;
    esac
done < <(env --null)
exec elasticsearch "${settings[@]}"
