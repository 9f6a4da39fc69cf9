#!/usr/bin/env bash
# Runs two nodes as the chart's Pods run them, without Kubernetes, and lets two people chat: as user
# 65532, without any capability, on a root that holds nothing but the program and its libraries and
# that cannot be written to, with 64 MiB in /tmp. Then ends them with SIGTERM. (Of what a Pod has more, a seccomp
# filter is left out.)
#
# Needs root, to mount. Run it by `make run-restricted`, which starts Postgres and Redis around it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CHAT=$PWD/target/release/chat-service
readonly LOADTEST=$PWD/target/release/loadtest
readonly USER_ID=65532
readonly READY_LIMIT=60
readonly END_LIMIT=30

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

((EUID == 0)) || fail "root is needed, to mount a root of its own for each node"
[[ -n ${TEST_POSTGRES_URL:-} ]] || fail "run it by \`make run-restricted\`"

scratch=$(mktemp -d)
pids=()
cleanup() {
  local status=$? pid
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  ((status == 0)) || tail -n 20 "$scratch"/*.log >&2 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

# Copies programs with the libraries that they are linked to into root $1.
install_programs() {
  local root=$1 file
  shift
  for file in "$@"; do install -D "$file" "$root/usr/local/bin/$(basename "$file")"; done
  for file in $(ldd "$@" | grep -Eo '/[^ ]+\.so[^ ]*' | sort -u); do install -D "$file" "$root$file"; done
}

# Becomes a node in a mount namespace of its own.
become_node() {
  local root=$1
  mount -t tmpfs -o size=512m tmpfs "$root"
  install_programs "$root" "$CHAT" "$(command -v setpriv)"
  mkdir -p "$root"/{tmp,proc,dev,etc/ssl/certs}
  cp /etc/hosts /etc/resolv.conf "$root/etc/" 2>/dev/null || true
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
  mount --rbind /proc "$root/proc"
  touch "$root/dev/null" && mount --bind /dev/null "$root/dev/null"
  mount -o remount,ro "$root"
  mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev,noexec tmpfs "$root/tmp"
  exec chroot "$root" /usr/local/bin/setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups \
    --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs \
    /usr/local/bin/chat-service serve
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# That process $1 has nothing that it must not have.
check_process() {
  local pid=$1 status=/proc/$1/status field
  grep -Eq "^Uid:\s+$USER_ID\s+$USER_ID\s+$USER_ID\s+$USER_ID$" "$status" || fail "it is another user"
  for field in CapInh CapPrm CapEff CapBnd CapAmb; do
    grep -Eq "^$field:\s+0+$" "$status" || fail "it has capabilities: $(grep "^$field" "$status")"
  done
  grep -Eq '^NoNewPrivs:\s+1$' "$status" || fail "it may gain privileges"
  # Not even root can write there.
  for place in / /etc /usr/local/bin; do
    if touch "/proc/$pid/root$place/written" 2>/dev/null; then fail "$place can be written to"; fi
  done
  touch "/proc/$pid/root/tmp/written" || fail "/tmp cannot be written to"
}

if [[ ${1:-} == --become-node ]]; then become_node "$2"; fi

export DATABASE_URL=$TEST_POSTGRES_URL REDIS_URL=${TEST_REDIS_URLS%%,*} REDIS_PREFIX=restricted
export JWT_SECRET SHUTDOWN_GRACE_MS=20000 DRAIN_WINDOW_MS=2000 LOG_LEVEL=warn HOME=/nonexistent
JWT_SECRET=$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')
"$CHAT" migrate

nodes=
for name in r1 r2; do
  mkdir "$scratch/$name"
  http=$(free_port) metrics=$(free_port)
  NODE_NAME=$name HTTP_ADDR=127.0.0.1:$http METRICS_ADDR=127.0.0.1:$metrics \
    unshare --mount --propagation private "${BASH_SOURCE[0]}" --become-node "$scratch/$name" >"$scratch/$name.log" 2>&1 &
  pid=$!
  pids+=("$pid")
  for ((waited = 0; waited < READY_LIMIT * 5; waited++)); do
    ! HTTP_ADDR=127.0.0.1:$http "$CHAT" health --ready 2>/dev/null || break
    kill -0 "$pid" 2>/dev/null || fail "$name has ended"
    sleep 0.2
  done
  "$CHAT" probe --url "http://127.0.0.1:$http"
  check_process "$pid"
  echo "$name: user $USER_ID, no capabilities, read-only root"
  nodes+="${nodes:+,}"'{"name":"'$name'","url":"http://127.0.0.1:'$http'","metricsUrl":"http://127.0.0.1:'$metrics'/metrics","pid":'$pid'}'
done

printf '{"nodes": [%s]}' "$nodes" >"$scratch/cluster.json"
"$LOADTEST" smoke --cluster "$scratch/cluster.json"

for pid in "${pids[@]}"; do
  began=$SECONDS
  kill -TERM "$pid"
  wait "$pid" || fail "a node ended with $?"
  ((SECONDS - began <= END_LIMIT)) || fail "a node took $((SECONDS - began)) s to end"
done
pids=()
echo "both nodes ended in order"
