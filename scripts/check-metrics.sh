#!/usr/bin/env bash
# Has promtool look at what each node of a cluster tells Prometheus: the form, and the names.
#
#   CLUSTER   the cluster.json of a running cluster; that of `make run` without it
#   PROMTOOL  the tool; looked for in PATH without it, else unpacked from Debian's or Ubuntu's package
#             into target/tools, which needs no root
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly TOOL=$PWD/target/tools/prometheus
readonly CLUSTER=${CLUSTER:-target/dev/cluster.json}

promtool=${PROMTOOL:-$(command -v promtool || true)}
if [[ -z $promtool ]]; then
  promtool=$TOOL/usr/bin/promtool
  if [[ ! -x $promtool ]]; then
    mkdir -p "$TOOL"
    (cd "$TOOL" && apt-get download prometheus >/dev/null && dpkg -x prometheus_*.deb . && rm prometheus_*.deb)
  fi
fi

[[ -f $CLUSTER ]] || { echo "$CLUSTER is missing: \`make run\` makes it, and must be running"; exit 1; }
urls=$(grep -Eo '"metricsUrl": *"[^"]+"' "$CLUSTER" | cut -d '"' -f 4)
[[ -n $urls ]] || { echo "$CLUSTER names no node's metrics"; exit 1; }
for url in $urls; do
  curl --fail --silent --show-error "$url" | "$promtool" check metrics
  echo "$url: well"
done
