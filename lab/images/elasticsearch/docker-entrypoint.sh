#!/bin/bash
# As in the official image: `eswrapper` starts Elasticsearch, whose settings come from the environment as well, and
# anything else is a command. ELASTIC_PASSWORD becomes the first password of the user elastic.
set -euo pipefail
umask 0002

if [[ ${1:-eswrapper} != eswrapper ]]; then
    exec "$@"
fi

# Elasticsearch refuses to start with a setting that no module knows, and this distribution lacks the modules of these.
left_out=()
while IFS='=' read -r -d '' name _; do
    case $name in
        ingest.* | reindex.* | script.painless.* | xpack.ml.* | xpack.monitoring.* | xpack.watcher.*)
            echo "Setting left out, as its module is not in the lab's distribution: $name" >&2
            left_out+=(-u "$name")
            ;;
    esac
done < <(env --null)

if [[ -n ${ELASTIC_PASSWORD:-} ]]; then
    [[ -f config/elasticsearch.keystore ]] || elasticsearch-keystore create >/dev/null
    elasticsearch-keystore add --stdin --force bootstrap.password <<<"$ELASTIC_PASSWORD" >/dev/null
fi
exec env "${left_out[@]}" elasticsearch
