# SPIKE in the scenario: settings, daemons, and people.
# shellcheck shell=bash

readonly NEXUS_HEALTH=9553
readonly KEEPERS=(1 2 3)

# The examples, edited as the page says.
spike_settings() {
  local number
  mkdir -p /etc/spike
  for number in nexus bootstrap; do cp "deploy/systemd/$number.env.example" "/etc/spike/$number.env"; done
  for number in "${KEEPERS[@]}"; do cp deploy/systemd/keeper.env.example "/etc/spike/keeper-$number.env"; done
  sed -i 's|^SPIKE_NEXUS_KEEPER_PEERS=.*|SPIKE_NEXUS_KEEPER_PEERS=https://localhost:8443,https://localhost:8543,https://localhost:8643|
          s|^SPIKE_NEXUS_API_URL=.*|SPIKE_NEXUS_API_URL=https://localhost:8553|' /etc/spike/nexus.env /etc/spike/bootstrap.env
  for number in 2 3; do
    sed -i "s|^SPIKE_KEEPER_TLS_PORT=.*|SPIKE_KEEPER_TLS_PORT=:8$((number + 3))43|" "/etc/spike/keeper-$number.env"
  done
}

# settings_of FILE: as systemd reads it.
settings_of() {
  more_privileges=(--bounding-set=-all)
  mapfile -t settings < <(grep -v -e '^#' -e '^$' "$1")
}

keeper_start() {
  settings_of "/etc/spike/keeper-$1.env"
  run "keeper-$1" "${user_of[keeper]}" /usr/local/bin/keeper
  eventually 60 listens "8$(($1 + 3))43"
}

keepers_start() {
  local number
  for number in "${KEEPERS[@]}"; do keeper_start "$number"; done
}

nexus_start() {
  directory "${user_of[nexus]}" 0700 /var/lib/spike-nexus
  settings_of /etc/spike/nexus.env
  run nexus "${user_of[nexus]}" /usr/local/bin/nexus
  eventually 60 listens 8553
}

bootstrap_run() {
  directory "${user_of[bootstrap]}" 0700 /var/lib/spike-bootstrap
  settings_of /etc/spike/bootstrap.env
  run bootstrap "${user_of[bootstrap]}" /usr/local/bin/bootstrap -init
  wait "${process[bootstrap]}" || {
    local status=$?
    cat "$WORK/logs/bootstrap.log"
    return "$status"
  }
}

kill_all_of_spike() {
  local number
  kill_hard nexus
  for number in "${KEEPERS[@]}"; do kill_hard "keeper-$number"; done
}

# `spike`, as this user.
spike_as() {
  local user=$1
  shift
  env --ignore-environment PATH="$PATH" HOME="/var/lib/$user" SPIFFE_ENDPOINT_SOCKET="unix://$AGENT_SOCKET" \
    SPIKE_TRUST_ROOT_NEXUS=$DOMAIN SPIKE_TRUST_ROOT_PILOT=$DOMAIN \
    setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups /usr/local/bin/spike "$@"
}

gets_value() {
  spike_as alice secret get tenants/acme/db >"$WORK/value" || return
  grep -qF value-of-this-scenario "$WORK/value"
}

metric() { telemetry $NEXUS_HEALTH /metrics | awk -v name="$1" '$1 == name { print $2 }'; }

ready() { [[ $(telemetry "$1" /readyz) == HTTP/1.?" 200 "* ]]; }

nexus_ready() { ready $NEXUS_HEALTH; }

nexus_says() { telemetry $NEXUS_HEALTH /readyz | grep -F -- "$1" >/dev/null; }

# A Keeper is ready once it holds a share.
all_hold_shares() {
  local number
  for number in "${KEEPERS[@]}"; do eventually 60 ready "9$((number + 3))43"; done
}

# Reads and writes by two people at the same time; the first failure ends each, and is kept.
load_start() {
  rm -f "$WORK"/load.*
  local number
  for number in 1 2; do
    (
      trap - ERR
      set +e
      while [[ ! -e $WORK/load.enough ]]; do
        spike_as alice secret put "load/$number" "k=$number" >"$WORK/load.said.$number" 2>&1 &&
          spike_as alice secret get "load/$number" >"$WORK/load.said.$number" 2>&1 || {
          cp "$WORK/load.said.$number" "$WORK/load.failed"
          exit 1
        }
        echo done >>"$WORK/load.done"
      done
    ) &
    process[load-$number]=$!
  done
}

load_end() {
  local number count
  touch "$WORK/load.enough"
  for number in 1 2; do
    wait "${process[load-$number]}" || {
      cat "$WORK/load.failed" >&2
      die "a request failed"
    }
  done
  count=$(wc -l <"$WORK/load.done")
  ((count > 20)) || die "only $count rounds of the load"
  echo "$count rounds, no failure"
}
