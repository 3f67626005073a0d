#!/bin/sh
# Gives a plain Compose stack keys of its own. Makes, each only when it is not there yet:
#   DIR/secure.conf     random values in place of every published key, and the service account "platform"
#   DIR/apiserver.conf  one account, "operator", with a random password
# Runs in the server image as the one-shot service clearml-secrets. Prints no secret.
set -eu
umask 077

dir=${1:?usage: make-secrets DIR}

random() { # LENGTH: letters and digits, the first a letter, so that no parser takes the value for a number
    printf '%s%s' "$(tr -dc '[:upper:]' </dev/urandom | head -c 1)" "$(tr -dc '[:upper:][:digit:]' </dev/urandom | head -c "$(($1 - 1))")"
}

install_once() { # FILE: standard input becomes the file, unless there is one
    if [ -e "$1" ]; then
        cat >/dev/null
        echo "kept $1"
        return
    fi
    cat >"$1.tmp"
    mv "$1.tmp" "$1"
    echo "made $1"
}

pair() { # NAME ROLE: one entry of secure.credentials
    printf '  %s { role: "%s", user_key: "%s", user_secret: "%s" }\n' "$1" "$2" "$(random 30)" "$(random 60)"
}

install_once "$dir/secure.conf" <<EOF
http { session_secret { apiserver: "$(random 60)" } }
auth { token_secret: "$(random 60)" }
credentials {
$(pair apiserver system)
$(pair fileserver system)
$(pair webserver system)
$(pair tests user)
$(pair platform user)
  platform { display_name: "Platform" }
}
EOF

install_once "$dir/apiserver.conf" <<EOF
auth { fixed_users { enabled: true, pass_hashed: false, users: [
  { username: "operator", password: "$(random 30)", name: "Operator" }
] } }
EOF

echo "To see the account and the key: docker compose exec clearml-server cat $dir/apiserver.conf $dir/secure.conf"
