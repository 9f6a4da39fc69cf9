#!/usr/bin/env bash
# Checks the Helm chart without a cluster: lints it, renders it in every shape, and holds what comes out
# against Kubernetes' own schemas, the Pod Security Standard `restricted`, and itself. With --docs it
# writes the chart's README.md anew instead.
#
#   HELM  path of helm 3.14 or newer; else the one in PATH, else it is built
#
# Needs Python 3.9 or newer and Go 1.24 or newer. What else it takes is fetched from PyPI and by Go's
# module proxy into target/tools/helm-check, the first time: helm is built from source, which takes a
# minute or two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CHART=helm/chat-service
readonly TOOLS=$PWD/target/tools/helm-check
readonly HELM_VERSION=v3.21.0
readonly HELM_DOCS_VERSION=v1.14.2
readonly KUBERNETES_VALIDATE_VERSION=1.37.0
# Custom resources have their schemas in their own projects.
readonly PROMETHEUS_OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
readonly GATEWAY_API=sigs.k8s.io/gateway-api@v1.3.0

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

command -v go >/dev/null || fail "Go 1.24 or newer is needed: it fetches and builds the tools."
command -v python3 >/dev/null || fail "Python 3.9 or newer is needed."

# Installs program $1 of module $2 at version $3, once for each version.
go_tool() {
  local bin=$TOOLS/bin/$1-$3
  if [[ ! -x $bin ]]; then
    echo "building $1 $3" >&2
    GOBIN=$TOOLS/bin.new go install "$2@$3" && mkdir -p "$TOOLS/bin" && mv "$TOOLS/bin.new/$1" "$bin"
  fi
  printf '%s\n' "$bin"
}

# Where the module $1 was unpacked.
go_module() {
  go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'
}

helm_docs=$(go_tool helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs "$HELM_DOCS_VERSION")
readonly DOCS=("$helm_docs" --chart-search-root "$CHART" --sort-values-order file --log-level error)
if [[ ${1:-} == --docs ]]; then
  "${DOCS[@]}"
  exit
fi

helm=${HELM:-$(command -v helm || true)}
[[ -n $helm ]] || helm=$(go_tool helm helm.sh/helm/v3/cmd/helm "$HELM_VERSION")

operator=$(go_module "$PROMETHEUS_OPERATOR")
gateway=$(go_module "$GATEWAY_API")

if ! "$TOOLS/venv/bin/pip" show kubernetes-validate 2>/dev/null | grep -qx "Version: $KUBERNETES_VALIDATE_VERSION"; then
  python3 -m venv --clear "$TOOLS/venv"
  "$TOOLS/venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION"
fi

diff -u --label "$CHART/README.md" --label 'made of values.yaml' "$CHART/README.md" <("${DOCS[@]}" --dry-run) \
  || fail "$CHART/README.md is behind: run \`make helm-docs\`."

PYTHONDONTWRITEBYTECODE=1 exec "$TOOLS/venv/bin/python" scripts/check_helm.py --helm "$helm" --chart "$CHART" \
  --crd "$operator/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml" \
  --crd "$operator/example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml" \
  --crd "$gateway/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
