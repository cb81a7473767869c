# Part `containers` of .ci/deploy: the images of deploy/docker, built without a daemon and run as they are in production:
# read-only, without capabilities, as uid 1000 and as any other.
# shellcheck shell=bash

readonly IMAGES=$WORK/images
readonly SOCKET_DIR=$WORK/socket
readonly KEEPER_PORTS=(18443 18543 18643)
readonly NEXUS_PORT=18553
# A user that no image knows, whose group is 0: what OpenShift takes.
readonly STRANGER=1000660000

part_containers() {
  in_own_network containers static_programs
  trap containers_off EXIT
  containers_prepare
  images_build
  images_are_as_expected
  api_start
  walk_start
  walk_bootstrap
  walk_rolling_restart
  walk_roots
  walk_stop
}

static_dir() { echo "${DEPLOY_PROGRAMS:-$(echo "$PWD"/target/artifacts/spike-*-linux-amd64/bin)}"; }

# Those of this commit, unless a directory of static programs is named.
static_programs() {
  [[ -z ${DEPLOY_PROGRAMS-} ]] || return 0
  local commit
  commit=$(git rev-parse HEAD)
  if [[ ! -x $(static_dir)/nexus || $(cat "$WORK/static-commit" 2>/dev/null) != "$commit" ]]; then
    deploy/build amd64
    echo "$commit" >"$WORK/static-commit"
  fi
}

containers_prepare() {
  local tool
  for tool in buildah podman runc; do
    command -v "$tool" >/dev/null || die "no $tool on PATH: apt-get install buildah podman runc"
  done
  static=$(static_dir)
  # A store of its own. crun refuses a hybrid hierarchy of control groups, and limits above ours are not permitted everywhere.
  storage=(--root "$IMAGES/root" --runroot "$IMAGES/run" --storage-driver vfs)
  mkdir -p "$IMAGES"
  printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' \
    >"$IMAGES/containers.conf"
  export CONTAINERS_CONF=$IMAGES/containers.conf
}

pod() { podman "${storage[@]}" --runtime "$(command -v runc)" "$@"; }

# What every container is started with.
strict() {
  pod run --network host --read-only --read-only-tmpfs=false --cap-drop all \
    --security-opt no-new-privileges --volume "$SOCKET_DIR:/spiffe-workload-api:ro" \
    --env SPIFFE_ENDPOINT_SOCKET=unix:///spiffe-workload-api/api.sock \
    --env SPIKE_TRUST_ROOT_NEXUS=$TRUST_DOMAIN --env SPIKE_TRUST_ROOT_KEEPER=$TRUST_DOMAIN \
    --env SPIKE_TRUST_ROOT_BOOTSTRAP=$TRUST_DOMAIN --env SPIKE_TRUST_ROOT_PILOT=$TRUST_DOMAIN \
    --env SPIKE_BANNER_ENABLED=false --env "SPIKE_NEXUS_API_URL=https://localhost:$NEXUS_PORT" "$@"
}

containers_off() {
  pod rm --all --force --time 5 >/dev/null 2>&1 || true
  if [[ -n ${api-} ]]; then kill "$api" 2>/dev/null || true; fi
}

images_build() {
  case_of "buildah builds the images without a daemon"
  pod rm --all --force >/dev/null 2>&1 || true
  CONTAINER_BUILD="buildah ${storage[*]} bud --isolation chroot" \
    deploy/docker/build --programs "$static" --tag walk --shell "$(command -v busybox)" >"$WORK/images.log" 2>&1 || {
    cat "$WORK/images.log" >&2
    die "the images cannot be built"
  }
}

images_are_as_expected() {
  case_of "entry points, user, labels and files are what the hardened chart needs"
  local name label
  for name in nexus keeper bootstrap pilot demo; do
    # The labels of upstream's images; those of the version follow from the commit.
    for label in maintainers version website repo documentation contact community changelog \
      org.opencontainers.image.{title,description,source,licenses}; do
      ends_with 0 pod image inspect --format "label: {{index .Labels \"$label\"}}." "spike-$name:walk"
      ! grep -qxF 'label: .' "$WORK/said" || die "spike-$name has no label $label"
    done
    ends_with 0 pod image inspect --format '{{.User}} {{.Config.Entrypoint}} {{index .Labels "org.opencontainers.image.title"}} {{.Size}}' "spike-$name:walk"
    cat "$WORK/said"
    said "1000 ["
    said "spike-$name"
  done
  ends_with 0 pod image inspect --format '{{.Config.Entrypoint}}' spike-nexus:walk
  said '[/nexus]'
  ends_with 0 pod image inspect --format '{{.Config.Entrypoint}}' spike-keeper:walk
  said '[/keeper]'
  ends_with 0 pod image inspect --format '{{.Config.Entrypoint}}' spike-bootstrap:walk
  said '[/bootstrap]'
  local mounted
  mounted=$(pod image mount spike-pilot:walk)
  [[ $(stat -c '%F %a %u:%g' "$mounted/usr/local/bin/spike") == "regular file 755 1000:1000" ]] || die "spike is not a regular file of uid 1000"
  pod image unmount spike-pilot:walk >/dev/null
  ends_with 0 pod run --rm --network none --read-only --read-only-tmpfs=false --cap-drop all --tmpfs /programs \
    --entrypoint /bin/sh spike-pilot:walk -c 'cp /usr/local/bin/spike /programs/spike && /programs/spike --version'
  said "spike "
  mounted=$(pod image mount spike-nexus:walk)
  [[ $(stat -c '%a %u:%g' "$mounted/.spike") == "770 1000:0" ]] || die ".spike is $(stat -c '%a %u:%g' "$mounted/.spike")"
  pod image unmount spike-nexus:walk >/dev/null
}

api_start() {
  local uid
  mkdir -p "$SOCKET_DIR" "$WORK/ca"
  chmod 0755 "$SOCKET_DIR"
  for uid in 1000 $STRANGER; do
    echo "$uid /nexus /spike/nexus/pod-0"
    echo "$uid /keeper /spike/keeper/pod-0"
    echo "$uid /bootstrap /spike/bootstrap/pod-0"
    echo "$uid /usr/local/bin/spike /spike/pilot/role/superuser"
  done >"$WORK/entries"
  local root
  for root in empty busybox glibc; do
    echo "0 $WORK/roots/$root/spike /spike/pilot/role/superuser"
  done >>"$WORK/entries"
  "$WORK/programs/workload-api" "$SOCKET_DIR/api.sock" "$WORK/ca" "$TRUST_DOMAIN" "$WORK/entries" 600 2>"$WORK/api.log" &
  api=$!
}

# The first two Keepers as the image says, the third as a stranger.
keeper_user() { if (($1 == 2)); then echo "$STRANGER:0"; else echo 1000; fi; }

peers() {
  local port text=
  for port in "${KEEPER_PORTS[@]}"; do text+=",https://localhost:$port"; done
  echo "${text#,}"
}

walk_start() {
  local number data=$WORK/volume
  case_of "Keepers start as uid 1000 and as a stranger, read-only and without capabilities"
  for number in 0 1 2; do
    strict --name "keeper-$number" --detach --user "$(keeper_user $number)" --env "SPIKE_KEEPER_TLS_PORT=:${KEEPER_PORTS[number]}" \
      spike-keeper:walk >/dev/null
  done
  for number in 0 1 2; do eventually 30 port_open "${KEEPER_PORTS[number]}"; done
  case_of "Nexus starts as a stranger on a fresh volume that belongs to its group"
  rm -rf "$data"
  mkdir -p "$data/lost+found"
  chgrp 0 "$data"
  chmod 2770 "$data"
  strict --name nexus --detach --user "$STRANGER:0" --volume "$data:/.spike" --env "SPIKE_NEXUS_TLS_PORT=:$NEXUS_PORT" \
    --env "SPIKE_NEXUS_KEEPER_PEERS=$(peers)" spike-nexus:walk >/dev/null
  eventually 30 port_open $NEXUS_PORT
  case_of "sealed, spike ends with 5"
  ends_with 5 pilot secret list
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

pilot() { strict --rm spike-pilot:walk "$@"; }

bootstrap_run() {
  strict --rm --env "SPIKE_NEXUS_KEEPER_PEERS=$(peers)" --tmpfs /.spike:mode=0777 spike-bootstrap:walk -init
}

walk_bootstrap() {
  case_of "Bootstrap makes the key, once"
  ends_with 0 bootstrap_run
  ends_with 0 pilot secret put tenants/acme/db pass=value-of-this-walk
  ends_with 0 bootstrap_run
  gets_value
  [[ -e $WORK/volume/data/nexus.db ]] || die "the database is not on the volume"
}

gets_value() {
  ends_with 0 pilot secret get tenants/acme/db
  said value-of-this-walk
}

host_metric() { http_get $((NEXUS_PORT + 1000)) /metrics | grep "^$1 "; }

keeper_ready() { [[ $(http_get $(($1 + 1000)) /readyz) == HTTP/1.?" 200 "* ]]; }

walk_rolling_restart() {
  case_of "each Keeper is restarted, one after another, while reads go on: none fails, and the margin that Nexus shows is never negative"
  local number reads=0
  rm -f "$WORK/enough" "$WORK/margins"
  (
    set +e
    while [[ ! -e $WORK/enough ]]; do
      pilot secret get tenants/acme/db >"$WORK/reader" 2>&1 || { cp "$WORK/reader" "$WORK/reader.failed"; exit 1; }
      host_metric spike_quorum_margin >>"$WORK/margins"
    done
  ) &
  local reader=$!
  for number in 0 1 2; do
    pod stop --time 20 "keeper-$number" >/dev/null
    pod start "keeper-$number" >/dev/null
    # A Keeper is ready once it holds a share.
    eventually 60 keeper_ready "${KEEPER_PORTS[number]}"
  done
  touch "$WORK/enough"
  wait "$reader" || {
    cat "$WORK/reader.failed" >&2
    die "a read failed while a Keeper was restarted"
  }
  reads=$(wc -l <"$WORK/margins")
  ((reads > 3)) || die "only $reads reads went on meanwhile"
  ! grep -q -- '-' <(cut -d' ' -f2 "$WORK/margins") || die "the margin was negative"
  echo "$reads reads; margins: $(sort "$WORK/margins" | uniq -c | tr '\n' ';')"
}

walk_roots() {
  case_of "the static spike runs in an empty root, a busybox root and a Debian root"
  local root dir
  for root in empty busybox glibc; do
    dir=$WORK/roots/$root
    rm -rf "$dir"
    mkdir -p "$dir/socket"
    case $root in
      busybox)
        command -v busybox >/dev/null || die "no busybox on PATH: apt-get install busybox-static"
        install -D "$(command -v busybox)" "$dir/bin/busybox"
        ln -s busybox "$dir/bin/sh"
        ;;
      glibc)
        debian_root
        cp -a "$DEBIAN/." "$dir"
        ;;
    esac
    install -m 0755 "$static/spike" "$dir/spike"
    ends_with 0 unshare --mount sh -c "mount --bind '$SOCKET_DIR' '$dir/socket' && exec env -i \
      SPIFFE_ENDPOINT_SOCKET=unix:///socket/api.sock SPIKE_TRUST_ROOT_NEXUS=$TRUST_DOMAIN SPIKE_TRUST_ROOT_PILOT=$TRUST_DOMAIN \
      SPIKE_NEXUS_API_URL=https://127.0.0.1:$NEXUS_PORT HOME=/ $(command -v chroot) '$dir' /spike secret get tenants/acme/db"
    said value-of-this-walk
    echo "$root"
  done
}

walk_stop() {
  case_of "SIGTERM ends each daemon with 0"
  local name
  for name in nexus keeper-0 keeper-1 keeper-2; do
    pod stop --time 40 "$name" >/dev/null
    [[ $(pod inspect --format '{{.State.ExitCode}}' "$name") == 0 ]] || die "$name ended with $(pod inspect --format '{{.State.ExitCode}}' "$name")"
  done
}
