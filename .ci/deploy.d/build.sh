# Part `build` of .ci/deploy: the release for arm64, built twice in directories of different names, and its programs run by qemu.
# shellcheck shell=bash

readonly BUILDS=$WORK/build
readonly ARM=$WORK/arm

part_build() {
  in_own_network build build_twice
  trap emulation_off EXIT
  emulation_prepare
  emulation_walk
}

# From clean clones, because a release is one.
build_twice() {
  local name
  case_of "built twice, in directories of different names and lengths, the release has the same bytes"
  for name in one another-directory; do
    rm -rf "${BUILDS:?}/$name"
    git clone --quiet --no-hardlinks . "$BUILDS/$name"
    (cd "$BUILDS/$name" && deploy/build arm64) >"$WORK/build.log" 2>&1 || {
      tail -n 30 "$WORK/build.log" >&2
      die "deploy/build arm64 failed"
    }
    # The second build needs the room.
    rm -rf "$BUILDS/$name/target/aarch64-unknown-linux-musl"
  done
  diff "$BUILDS/one/target/artifacts/SHA256SUMS" "$BUILDS/another-directory/target/artifacts/SHA256SUMS" ||
    die "the two builds differ"
  cat "$BUILDS/one/target/artifacts/SHA256SUMS"
}

emulation_prepare() {
  local qemu name
  qemu=$(command -v qemu-aarch64-static) || die "no qemu-aarch64-static on PATH: apt-get install qemu-user-static"
  arm_programs=$(echo "$BUILDS"/one/target/artifacts/spike-*-linux-arm64/bin)
  rm -rf "$ARM"
  mkdir -p "$ARM/ca" "$ARM/data" "$ARM/state" "$ARM/home"
  for name in nexus keeper bootstrap spike; do
    # A copy of the emulator for each: to the Workload API, it is the executable of the process.
    cp "$qemu" "$ARM/qemu-$name"
  done
  {
    echo "$(id -u) $ARM/qemu-nexus /spike/nexus"
    echo "$(id -u) $ARM/qemu-keeper /spike/keeper"
    echo "$(id -u) $ARM/qemu-bootstrap /spike/bootstrap"
    echo "$(id -u) $ARM/qemu-spike /spike/pilot/role/superuser"
  } >"$ARM/entries"
  "$WORK/programs/workload-api" "$ARM/api.sock" "$ARM/ca" "$TRUST_DOMAIN" "$ARM/entries" 600 2>"$ARM/api.log" &
  emulated=($!)
  eventually 30 test -S "$ARM/api.sock"
}

# What runs in the background is a shell with the program as its child.
emulation_off() {
  local pid
  for pid in "${emulated[@]}"; do
    pkill -TERM -P "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
  done
}

# emulate PROGRAM [ARGUMENT...], with the settings of all.
emulate() {
  local name=$1
  shift
  env SPIFFE_ENDPOINT_SOCKET="unix://$ARM/api.sock" SPIKE_TRUST_ROOT_NEXUS=$TRUST_DOMAIN SPIKE_TRUST_ROOT_KEEPER=$TRUST_DOMAIN \
    SPIKE_TRUST_ROOT_BOOTSTRAP=$TRUST_DOMAIN SPIKE_TRUST_ROOT_PILOT=$TRUST_DOMAIN SPIKE_BANNER_ENABLED=false HOME="$ARM/home" \
    SPIKE_NEXUS_API_URL=https://localhost:8553 SPIKE_NEXUS_KEEPER_PEERS=https://localhost:8443,https://localhost:8543 \
    SPIKE_NEXUS_SHAMIR_SHARES=2 SPIKE_NEXUS_SHAMIR_THRESHOLD=2 SPIKE_NEXUS_DATA_DIR="$ARM/data" \
    SPIKE_BOOTSTRAP_STATE_DIR="$ARM/state" ${keeper_port:+"SPIKE_KEEPER_TLS_PORT=$keeper_port"} \
    "$ARM/qemu-$name" "$arm_programs/$name" "$@"
}

emulation_walk() {
  local name keeper_port
  case_of "every program for arm64 says its version"
  for name in nexus keeper bootstrap spike; do
    ends_with 0 emulate "$name" --version
    cat "$WORK/said"
  done
  case_of "Keepers, Nexus, Bootstrap and spike for arm64 keep a secret and give it back"
  for keeper_port in :8443 :8543; do
    emulate keeper >>"$ARM/keeper.log" 2>&1 &
    emulated+=($!)
  done
  keeper_port=
  emulate nexus >>"$ARM/nexus.log" 2>&1 &
  emulated+=($!)
  eventually 120 emulation_is_sealed
  ends_with 0 emulate bootstrap -init
  ends_with 0 emulate spike secret put tenants/acme/db pass=value-of-this-walk
  ends_with 0 emulate spike secret get tenants/acme/db
  said value-of-this-walk
}

emulation_is_sealed() {
  local status=0
  emulate spike secret list || status=$?
  ((status == 5))
}
