#!/usr/bin/env bash
# Prints the directory of prometheus and promtool: that of PATH, else of Debian's or Ubuntu's package,
# unpacked into target/tools, which needs no root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly TOOL=$PWD/target/tools/prometheus

if path=$(command -v promtool) && command -v prometheus >/dev/null; then
  dirname "$path"
  exit
fi
if [[ ! -x $TOOL/usr/bin/promtool ]]; then
  mkdir -p "$TOOL"
  (cd "$TOOL" && apt-get download prometheus >/dev/null && dpkg -x prometheus_*.deb . && rm prometheus_*.deb) >&2
fi
echo "$TOOL/usr/bin"
