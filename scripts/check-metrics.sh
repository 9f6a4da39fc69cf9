#!/usr/bin/env bash
# Has promtool look at what each node of a cluster tells Prometheus: the form, and the names.
#
#   CLUSTER   the cluster.json of a running cluster; that of `make run` without it
#   PROMTOOL  the tool; else scripts/get-prometheus.sh finds one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly CLUSTER=${CLUSTER:-target/dev/cluster.json}

promtool=${PROMTOOL:-$(scripts/get-prometheus.sh)/promtool}

[[ -f $CLUSTER ]] || { echo "$CLUSTER is missing: \`make run\` makes it, and must be running"; exit 1; }
urls=$(grep -Eo '"metricsUrl": *"[^"]+"' "$CLUSTER" | cut -d '"' -f 4)
[[ -n $urls ]] || { echo "$CLUSTER names no node's metrics"; exit 1; }
for url in $urls; do
  curl --fail --silent --show-error "$url" | "$promtool" check metrics
  echo "$url: well"
done
