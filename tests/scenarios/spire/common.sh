# What the parts of the scenario share: processes that are started and ended, and conditions that are waited for.
# shellcheck shell=bash

die() {
  printf 'spire: %s\n' "$*" >&2
  exit 1
}

# A case begins: what must hold from here on.
case_of() { printf '\n-- %s (after %d s)\n' "$*" "$SECONDS"; }

# Repeats a command until it succeeds, for so many seconds.
eventually() {
  local seconds=$1 end=$((SECONDS + $1))
  shift
  until "$@" >"$WORK/eventually.out" 2>&1; do
    if ((SECONDS >= end)); then
      cat "$WORK/eventually.out" >&2
      die "not within $seconds s: $*"
    fi
    sleep 0.3
  done
}

# Runs a command that must end with this status, and keeps what it said in $WORK/said.
ends_with() {
  local wanted=$1 status=0
  shift
  "$@" >"$WORK/said" 2>&1 || status=$?
  if ((status != wanted)); then
    cat "$WORK/said" >&2
    die "exit status $status instead of $wanted: $*"
  fi
}

# What the last command of ends_with said must contain this.
said() {
  grep -qF -- "$1" "$WORK/said" || {
    cat "$WORK/said" >&2
    die "it did not say: $1"
  }
}

# run NAME USER PROGRAM [ARGUMENT...]: in the background, as this user, with nothing but the settings on standard input.
run() {
  local name=$1 user=$2
  shift 2
  env --ignore-environment PATH="$PATH" "${settings[@]}" \
    setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --no-new-privs "${more_privileges[@]}" \
    "$@" >>"$WORK/logs/$name.log" 2>&1 </dev/null &
  process[$name]=$!
}

kill_hard() {
  kill -KILL "${process[$1]}"
  wait "${process[$1]}" 2>/dev/null || true
}

# An orderly end, which must be one.
kill_softly() {
  kill -TERM "${process[$1]}"
  wait "${process[$1]}" || die "$1 ended with $?"
}

# Its telemetry, or that of a Keeper by its port.
telemetry() (
  exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  cat <&3
)

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
