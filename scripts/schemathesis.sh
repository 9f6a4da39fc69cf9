#!/usr/bin/env bash
# Asks a cluster for everything that its OpenAPI document knows, in good and in bad form, and fails
# on a server error and on any answer that the document does not foresee. Ends within five minutes.
#
#   CLUSTER  the cluster.json of a running cluster; without it, one is started for the time
#
# Needs Python 3.10 or newer. The tool is fetched from PyPI into target/tools/schemathesis.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly ROOT=$PWD

readonly VERSION=4.32.5
readonly TOOL=$ROOT/target/tools/schemathesis
readonly CHAT=target/release/chat-service
readonly DIR=target/schemathesis-dev
readonly READY_LIMIT=120
readonly TESTING_LIMIT=240

if ! "$TOOL/bin/schemathesis" --version 2>/dev/null | grep -q "$VERSION"; then
  python3 -m venv --clear "$TOOL"
  "$TOOL/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
fi

supervisor=
stop_cluster() {
  [[ -z $supervisor ]] || "$ROOT/$CHAT" dev --dir "$ROOT/$DIR" --clean >/dev/null 2>&1 || true
}
trap stop_cluster EXIT

if [[ -z ${CLUSTER:-} ]]; then
  mkdir -p "$DIR"
  "$CHAT" dev --dir "$DIR" --http-base-port 0 >"$DIR/out" 2>&1 &
  supervisor=$!
  for ((waited = 0; waited < READY_LIMIT * 5; waited++)); do
    ! grep -q '^ready' "$DIR/out" || break
    kill -0 "$supervisor" 2>/dev/null || { cat "$DIR/out"; exit 1; }
    sleep 0.2
  done
  CLUSTER=$DIR/cluster.json
fi

url=$(grep -Eo '"(http|url)": *"http://[^"]+"' "$CLUSTER" | grep -Eo 'http://[^"]+' | head -n 1)
[[ -n $url ]] || { echo "$CLUSTER names no node"; exit 1; }
admin=$(grep -A 3 '"admin"' "$CLUSTER" | tr -d '\n')
field() { grep -Eo "\"$1\": *\"[^\"]+\"" <<<"$admin" | cut -d '"' -f 4; }

# Where it keeps what it has found. One worker: the tool's own threads trip over each other.
mkdir -p "$DIR" && cd "$DIR"
export PYTHONDONTWRITEBYTECODE=1
export CHAT_ADMIN_LOGIN CHAT_ADMIN_PASSWORD
CHAT_ADMIN_LOGIN=$(field login) CHAT_ADMIN_PASSWORD=$(field password)
CHAT_URL=$url PYTHONPATH=$ROOT/scripts SCHEMATHESIS_HOOKS=schemathesis_hooks \
  "$TOOL/bin/schemathesis" --config-file "$ROOT/scripts/schemathesis.toml" \
  run "$url/docs/openapi.json" --checks all --phases examples,coverage,fuzzing \
  --max-time "$TESTING_LIMIT" --continue-on-failure "$@"
