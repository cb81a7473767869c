# A booted Debian, for the parts of .ci/deploy that need one: made by debootstrap, started by systemd-nspawn, without a network.
# shellcheck shell=bash

readonly DEBIAN=$WORK/debian
readonly MACHINE=$WORK/machine
# What a minimal Debian lacks and the pages expect.
readonly PACKAGES=systemd,systemd-sysv,dbus,procps,curl
# Health of Nexus inside of the machine.
readonly NEXUS_HEALTH=9553

# A Debian in $DEBIAN, made once.
debian_root() {
  [[ $(cat "$DEBIAN.done" 2>/dev/null) != "$PACKAGES" ]] || return 0
  command -v debootstrap >/dev/null || die "no debootstrap on PATH: apt-get install debootstrap"
  rm -rf "$DEBIAN"
  debootstrap --variant=minbase --include=$PACKAGES bookworm "$DEBIAN" >"$WORK/debootstrap.log"
  echo $PACKAGES >"$DEBIAN.done"
}

# A new machine, which is not started yet. Its Debian is made once, and copied.
machine_new() {
  local tool
  for tool in debootstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || die "no $tool on PATH: apt-get install debootstrap systemd-container"
  done
  debian_root
  rm -rf "$MACHINE" "$WORK/console"
  cp -a --reflink=auto "$DEBIAN" "$MACHINE"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$MACHINE/etc/hosts"
  printf 'spike-machine\n' >"$MACHINE/etc/hostname"
  mkdir -p "$MACHINE/var/log/journal"
}

user_number() { awk -F: -v name="$1" '$1 == name { print $3 }' "$MACHINE/etc/passwd"; }

machine_boot() {
  # nspawn itself forbids to lock memory unless told otherwise.
  systemd-nspawn --quiet --directory="$MACHINE" --boot --register=no --keep-unit --private-network --link-journal=no --system-call-filter=@memlock \
    </dev/null >>"$WORK/console" 2>&1 &
  nspawn=$!
  machine_up
}

machine_up() {
  eventually 90 machine_leader
  eventually 90 inside systemctl is-active multi-user.target
}

# The first process of the machine.
machine_leader() {
  leader=$(pgrep -P "$nspawn" | head -n 1)
  [[ -n $leader && $(cat "/proc/$leader/comm") == systemd ]]
}

machine_off() {
  if [[ -n ${nspawn-} ]] && kill -0 "$nspawn" 2>/dev/null; then
    # Asks for an orderly end, and insists after a while.
    kill "$nspawn" 2>/dev/null || true
    for _ in {1..100}; do
      kill -0 "$nspawn" 2>/dev/null || return 0
      sleep 0.2
    done
    kill -KILL "$nspawn" 2>/dev/null || true
  fi
}

# A command inside, as root.
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid -- "$@"; }

property() { inside systemctl show --property="$2" --value "$1"; }

journal_of() { inside journalctl --no-pager --output=cat --unit="$1"; }

# A unit's journal contains this, since the boot.
# It reads to the end: where grep stops early, the pipe breaks.
journal_says() { journal_of "$1" | grep -F -- "$2" >/dev/null; }

is_state() { [[ $(property "$1" ActiveState) == "$2" ]]; }

# A page of a daemon's telemetry.
telemetry() { inside bash -c "$(declare -f http_get); http_get $1 $2"; }

# readyz PORT STATUS: what the daemon answers when it is asked whether it is ready.
readyz() { [[ $(telemetry "$1" /readyz) == HTTP/1.?" $2 "* ]]; }

is_ready() { readyz "$NEXUS_HEALTH" 200; }

# The unit runs, and as another process than before.
started_again() {
  local now
  now=$(property "$1" MainPID)
  is_state "$1" active && [[ $now != 0 && $now != "$2" ]]
}

# A Keeper is ready once it holds a share. Nexus's margin tells the same, but some time later.
all_hold_shares() {
  local port
  for port in 9443 9543 9643; do eventually 60 readyz $port 200; done
}
