# Part `pods` of .ci/deploy: what the chart renders, and what the hardened chart renders for SPIKE, started by `podman kube
# play`: each pod in a network of its own, with an address and the names that a cluster would give it.
# shellcheck shell=bash

readonly PODS=$WORK/pods
readonly POD_NETWORK=10.99.0
# How long Nexus is away while Keepers are replaced.
readonly PODS_AWAY=${PODS_AWAY:-120}

part_pods() {
  in_own_network pods static_programs
  trap pods_off EXIT
  containers_prepare
  pods_prepare
  images_build
  busybox_build
  release_of_the_chart
  release_of_the_hardened_chart
}

pods_prepare() {
  declare -gA address=()
  local tool
  for tool in go ip nsenter catatonit busybox; do
    command -v "$tool" >/dev/null || die "no $tool on PATH: apt-get install golang-go iproute2 util-linux catatonit busybox-static"
  done
  (cd tests/charts && go build -o "$WORK/charts" .) || die "tests/charts cannot be built"
  printf 'base_hosts_file = "%s"\n' "$PODS/hosts" >"$PODS.conf"
  sed "/^\[containers\]/r $PODS.conf" "$IMAGES/containers.conf" >"$IMAGES/pods.conf"
  export CONTAINERS_CONF=$IMAGES/pods.conf
  ip link add name pods type bridge
  ip address add "$POD_NETWORK.1/24" dev pods
  ip link set pods up
}

# In the place of the image in whose shell operators work: /bin/busybox, static, and /bin/sh.
busybox_build() {
  local context=$WORK/busybox
  mkdir -p "$context"
  cp "$(command -v busybox)" "$context/busybox"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCOPY busybox /bin/sleep\n' >"$context/Containerfile"
  buildah "${storage[@]}" bud --isolation chroot --file "$context/Containerfile" --tag busybox:walk "$context" >"$WORK/images.log" 2>&1 || {
    cat "$WORK/images.log" >&2
    die "no image of busybox can be built: apt-get install busybox-static"
  }
}

pods_off() {
  pods_end
  if [[ -n ${api-} ]]; then kill "$api" 2>/dev/null || true; fi
}

# Ends every pod, and takes its network away.
pods_end() {
  local name
  pod pod rm --all --force --time 5 >/dev/null 2>&1 || true
  for name in "${!address[@]}"; do
    ip netns delete "spike-$name" 2>/dev/null || true
  done
  if [[ -n ${forwarder-} ]]; then kill "$forwarder" 2>/dev/null || true; fi
  address=() forwarder=
}

# release FILE: pods of a release on a node without any data, each with its address.
release() {
  local name names number=10
  pods_end
  declare -gA address=()
  rm -rf "$PODS"
  mkdir -p "$PODS/socket" "$PODS/bootstrap-state" "$PODS/ca"
  {
    echo "1000 /nexus /spike/nexus/pod-0"
    echo "1000 /keeper /spike/keeper/pod-0"
    echo "1000 /bootstrap /spike/bootstrap/pod-0"
    echo "1000 /usr/local/bin/spike /spike/pilot/role/superuser/pod-0"
    echo "1000 /programs/spike /spike/pilot/role/superuser/pod-1"
  } >"$PODS/entries"
  if [[ -n ${api-} ]]; then kill "$api" 2>/dev/null || true; fi
  "$WORK/programs/workload-api" "$PODS/socket/spire-agent.sock" "$PODS/ca" "$TRUST_DOMAIN" "$PODS/entries" 600 2>"$WORK/pods-api.log" &
  api=$!
  "$WORK/charts" pods . "$PODS" "$1" >"$PODS/names"
  echo "127.0.0.1 localhost" >"$PODS/hosts"
  while read -r name names; do
    number=$((number + 1))
    address[$name]=$POD_NETWORK.$number
    [[ -z $names ]] || echo "$POD_NETWORK.$number $names" >>"$PODS/hosts"
    network_of "$name" $number
  done <"$PODS/names"
  network_of operator 9
  address[operator]=$POD_NETWORK.9
}

network_of() {
  # Of the release before; the kernel takes its time with the rest of a namespace.
  ip link delete "pod$2" 2>/dev/null || true
  ip netns delete "spike-$1" 2>/dev/null || true
  ip netns add "spike-$1"
  ip link add "pod$2" type veth peer name eth0 netns "spike-$1"
  ip link set "pod$2" master pods up
  ip -n "spike-$1" link set lo up
  ip -n "spike-$1" address add "$POD_NETWORK.$2/24" dev eth0
  ip -n "spike-$1" link set eth0 up
}

in_network_of() {
  local name=$1
  shift
  nsenter --net="/run/netns/spike-$name" "$@"
}

# What a Service does whose port is not that of its pod.
forward() {
  nsenter --net="/run/netns/spike-$1" "$WORK/charts" forward "$2" "$3" &
  forwarder=$!
  eventually 10 pod_serves "$1" "$2"
}

# Its container, as podman names it.
container_of() { pod ps --all --pod --filter "pod=$1" --format '{{.Names}}' | grep -v -- -infra; }

play() {
  in_network_of "$1" podman "${storage[@]}" --runtime "$(command -v runc)" kube play --network host "$PODS/pods/$1.yaml" >"$WORK/play" 2>&1 || {
    cat "$WORK/play" >&2
    die "podman does not play $1"
  }
}

# Ends a pod as a kubelet does, and starts it again from what was rendered.
replace() {
  remove "$1"
  play "$1"
}

remove() {
  pod stop --time 40 "$(container_of "$1")" >/dev/null
  [[ $(pod inspect --format '{{.State.ExitCode}}' "$(container_of "$1")") == 0 ]] || die "$1 did not end well"
  pod pod rm --force "$1" >/dev/null
}

# page NAME PORT PATH: over the network of the pods, as a kubelet asks.
page() (
  exec 3<>"/dev/tcp/${address[$1]}/$2" || exit
  printf 'GET %s HTTP/1.0\r\nHost: pod\r\n\r\n' "$3" >&3
  cat <&3
)

pod_ready() { [[ $(page "$1" "$2" /readyz) == HTTP/1.?" 200 "* ]]; }
pod_not_ready() { [[ $(page "$1" "$2" /readyz) == HTTP/1.?" 503 "* ]]; }
pod_serves() { (exec 3<>"/dev/tcp/${address[$1]}/$2") 2>/dev/null; }

# operator URL COMMAND...: `spike` in a pod of its own.
operator() {
  local url=$1
  shift
  in_network_of operator podman "${storage[@]}" --runtime "$(command -v runc)" run --rm --network host --read-only --read-only-tmpfs=false \
    --cap-drop all --security-opt no-new-privileges --volume "$PODS/socket:/spiffe-workload-api:ro" \
    --env SPIFFE_ENDPOINT_SOCKET=unix:///spiffe-workload-api/spire-agent.sock --env "SPIKE_TRUST_ROOT_NEXUS=$TRUST_DOMAIN" \
    --env "SPIKE_TRUST_ROOT_PILOT=$TRUST_DOMAIN" --env "SPIKE_NEXUS_API_URL=$url" spike-pilot:walk "$@"
}

operator_reads() {
  ends_with 0 operator "$1" secret get tenants/acme/db
  said value-of-this-walk
}

job() { cut -d' ' -f1 "$PODS/names" | grep -- -bootstrap; }

# job_ends STATUS...: the pod of the Job ends with one of these. It is removed, as for another try.
job_ends() {
  local name container status
  name=$(job)
  container=$(container_of "$name")
  ends_with 0 timeout 300 podman "${storage[@]}" --runtime "$(command -v runc)" wait "$container"
  pod logs "$container" >"$WORK/bootstrap.log" 2>&1 || true
  status=$(pod inspect --format '{{.State.ExitCode}}' "$container")
  [[ " $* " == *" $status "* ]] || {
    cat "$WORK/bootstrap.log" >&2
    die "Bootstrap ended with $status"
  }
  pod pod rm --force "$name" >/dev/null
  echo "Bootstrap ended with $status"
}

# The Job, to its end. What a kubelet does with its ConfigMap is done here.
bootstrap_job() {
  play "$(job)"
  job_ends 0
  printf true >"$PODS/bootstrap-state/completed"
}

release_of_the_chart() {
  local number url=https://spike-nexus-headless.spike.svc.cluster.local:8553
  release try-out
  case_of "the chart's pods start at the same time; before Bootstrap Keepers are ready, and Nexus is not"
  for number in 0 1 2; do play "spike-keeper-$number"; done
  play spike-nexus-0
  for number in 0 1 2; do eventually 30 pod_ready "spike-keeper-$number" 9443; done
  eventually 30 pod_not_ready spike-nexus-0 9553
  pod inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}}' "$(container_of spike-nexus-0)"
  case_of "its Job makes the key; Nexus is ready, and a second run changes nothing"
  bootstrap_job
  eventually 30 pod_ready spike-nexus-0 9553
  ends_with 0 operator $url secret put tenants/acme/db pass=value-of-this-walk
  bootstrap_job
  operator_reads $url
  forward spike-nexus-0 443 8553
  operator_reads https://spike-nexus.spike.svc.cluster.local
  case_of "the pod of operators gets its spike by copying, and the pod of helm test ends with 0"
  play spike-pilot
  ends_with 0 pod exec "$(container_of spike-pilot | grep -- -shell)" spike secret get tenants/acme/db
  said value-of-this-walk
  pod pod rm --force spike-pilot >/dev/null
  play spike-test
  ends_with 0 pod wait "$(container_of spike-test)"
  ends_with 0 pod logs "$(container_of spike-test)"
  cat "$WORK/said"
  [[ $(pod inspect --format '{{.State.ExitCode}}' "$(container_of spike-test)") == 0 ]] || die "helm test would fail"
  upgrade_of_everything $url
}

# As a StatefulSet does it: from the highest number down, the next one when the last is ready.
upgrade_of_everything() {
  local number end
  case_of "everything is upgraded at once, and Nexus is away for $PODS_AWAY s: the second Keeper is not replaced meanwhile"
  remove spike-nexus-0
  replace spike-keeper-2
  play "$(job)"
  end=$((SECONDS + PODS_AWAY))
  eventually 30 pod_not_ready spike-keeper-2 9443
  while ((SECONDS < end)); do
    if pod_ready spike-keeper-2 9443; then die "a Keeper without a share passes for ready"; fi
    sleep 2
  done
  play spike-nexus-0
  eventually 60 pod_ready spike-nexus-0 9553
  eventually 60 pod_ready spike-keeper-2 9443
  # It has waited, or its Job tries again.
  job_ends 0 1
  bootstrap_job
  case_of "then one after another, while reads go on"
  rm -f "$WORK/enough" "$WORK/pod-margins"
  (
    set +e
    while [[ ! -e $WORK/enough ]]; do
      operator "$1" secret get tenants/acme/db >"$WORK/pod-reader" 2>&1 || { cp "$WORK/pod-reader" "$WORK/pod-reader.failed"; exit 1; }
      page spike-nexus-0 9553 /metrics | grep '^spike_quorum_margin ' >>"$WORK/pod-margins"
    done
  ) &
  local reader=$!
  for number in 1 0; do
    replace "spike-keeper-$number"
    eventually 60 pod_ready "spike-keeper-$number" 9443
  done
  touch "$WORK/enough"
  wait $reader || {
    cat "$WORK/pod-reader.failed" >&2
    die "a read failed while a Keeper was replaced"
  }
  [[ -s $WORK/pod-margins ]] || die "nothing was read meanwhile"
  ! grep -q -- ' -' "$WORK/pod-margins" || die "the margin was negative"
  echo "$(wc -l <"$WORK/pod-margins") reads; margins: $(sort "$WORK/pod-margins" | uniq -c | tr '\n' ';')"
  case_of "the key is alive: Nexus takes it from the new Keepers"
  replace spike-nexus-0
  eventually 60 pod_ready spike-nexus-0 9553
  operator_reads "$1"
}

release_of_the_hardened_chart() {
  local number
  sed -e 's#registry.example.org/spike/#localhost/#; s#:0.1.0$#:walk#' tests/fixtures/hardened-chart/spike.yaml >"$WORK/hardened.yaml"
  release "$WORK/hardened.yaml"
  case_of "with what the hardened chart gives them, our images listen within the 65 s of its probe, and its hook makes the key"
  for number in 0 1 2; do play "spiffe-spike-keeper-$number"; done
  play spiffe-spike-nexus-0
  for number in 0 1 2; do eventually 65 pod_serves "spiffe-spike-keeper-$number" 8443; done
  eventually 65 pod_serves spiffe-spike-nexus-0 8443
  forward spiffe-spike-nexus-0 443 8443
  bootstrap_job
  ends_with 0 operator https://spiffe-spike-nexus:443 secret put tenants/acme/db pass=value-of-this-walk
  operator_reads https://spiffe-spike-nexus:443
  [[ -e $PODS/volumes/nexus-data/data/nexus.db ]] || die "the database is not on the volume"
  case_of "SIGTERM ends each of them with 0"
  for number in 0 1 2; do remove "spiffe-spike-keeper-$number"; done
  remove spiffe-spike-nexus-0
}
