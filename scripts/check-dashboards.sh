#!/usr/bin/env bash
# Runs a private cluster under load, has a real Prometheus scrape it and evaluate the rules, and asks it
# every expression of every dashboard. First the rules alone: their form, and where each alert fires.
# Takes about two minutes; leaves no process.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CHAT=target/release/chat-service
readonly LOADTEST=target/release/loadtest
readonly DIR=target/check-dashboards
readonly SECONDS_OF_LOAD=60
prometheus=

cleanup() {
  local status=$?
  if [[ -n $prometheus ]]; then kill "$prometheus" 2>/dev/null && wait "$prometheus" 2>/dev/null || true; fi
  "$CHAT" dev --dir "$DIR/dev" --clean >/dev/null 2>&1 || true
  if ((status != 0)); then tail -n 20 "$DIR/prometheus.log" 2>/dev/null || true; fi
  exit "$status"
}

bin=$(scripts/get-prometheus.sh)
python3 scripts/dashboards/make.py --check
"$bin/promtool" check rules grafana/alerts/*.yaml >/dev/null
for tests in grafana/alerts/tests/*.yaml; do
  "$bin/promtool" test rules "$tests" >/dev/null || { "$bin/promtool" test rules "$tests"; exit 1; }
done
echo "the rules are well, and fire where they should"

rm -rf "$DIR"
mkdir -p "$DIR"
trap cleanup EXIT
"$CHAT" dev --dir "$DIR/dev" --http-base-port 0 >"$DIR/dev.log" 2>&1 &
for ((waited = 0; waited < 600; waited++)); do
  if grep -q '^ready' "$DIR/dev.log"; then break; fi
  sleep 0.2
done
grep '^ready' "$DIR/dev.log"

targets=$(grep -Eo '"metricsUrl": *"http://[^/"]+' "$DIR/dev/cluster.json" | sed "s|.*//\(.*\)|'\1'|" | paste -sd ,)
cat >"$DIR/prometheus.yml" <<CONFIG
global: {scrape_interval: 2s, evaluation_interval: 5s}
rule_files: ['$PWD/grafana/alerts/*.yaml']
scrape_configs:
  - job_name: chat-service
    static_configs: [{targets: [$targets], labels: {namespace: chat}}]
CONFIG
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$bin/prometheus" --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/data" \
  --web.listen-address="127.0.0.1:$port" >"$DIR/prometheus.log" 2>&1 &
prometheus=$!

"$LOADTEST" run --rooms 20 --members 5 --rate 100 --seconds "$SECONDS_OF_LOAD" --cluster "$DIR/dev/cluster.json" \
  >"$DIR/load.log" 2>&1 &
load=$!
# Asked while the load goes on, when all windows are full.
sleep $((SECONDS_OF_LOAD - 10))
python3 scripts/dashboards/ask.py "http://127.0.0.1:$port"
wait "$load" || { tail -n 5 "$DIR/load.log"; exit 1; }
