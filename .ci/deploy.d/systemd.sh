# Part `systemd` of .ci/deploy: a booted Debian, walked through as an operator does.
# shellcheck shell=bash

readonly AGENT_SOCKET=/run/spire/agent/public/api.sock

part_systemd() {
  trap machine_off EXIT
  machine_prepare
  case_of "boot"
  machine_boot
  walk_agent_last
  walk_nexus_before_keepers
  walk_bootstrap_before_keepers
  walk_bootstrap_wrong_settings
  walk_right_order
  walk_target
  walk_sandbox
  walk_bootstrap_again
  walk_agent_restarted
  walk_killed
  walk_watchdog
  walk_wrong_settings
  walk_missing_settings
  walk_reboot
  walk_journal
  walk_uninstall
}

machine_prepare() {
  machine_new
  case_of "install puts programs, units, users and settings under a root of its own"
  deploy/systemd/install --root "$MACHINE" --programs "$WORK/programs" nexus keeper@1 keeper@2 keeper@3 bootstrap spike | tee "$WORK/next"
  case_of "install names Keepers before Nexus, as bare-metal.md does, whatever comes first on its command line"
  [[ $(sed -n 's/.*enable --now \(spike-[a-z]*\).*/\1/p' "$WORK/next" | uniq | paste -sd' ') == "spike-keeper spike-nexus" ]] ||
    die "the order of the next steps is another: $(cat "$WORK/next")"
  settings_edit
  case_of "install leaves settings alone that are there"
  ends_with 0 deploy/systemd/install --root "$MACHINE" --programs "$WORK/programs" nexus
  said "kept $MACHINE/etc/spike/nexus.env"
  grep -q 8643 "$MACHINE/etc/spike/nexus.env"
  operators_add
  agent_add
  cp -r deploy/systemd "$MACHINE/root/systemd"
  systemctl --root="$MACHINE" --quiet enable spike.target spike-nexus spike-keeper@1 spike-keeper@2
}

# What a person edits in the examples.
settings_edit() {
  local number file
  for file in nexus bootstrap; do
    sed -i 's|^SPIKE_NEXUS_KEEPER_PEERS=.*|SPIKE_NEXUS_KEEPER_PEERS=https://localhost:8443,https://localhost:8543,https://localhost:8643|
            s|^SPIKE_NEXUS_API_URL=.*|SPIKE_NEXUS_API_URL=https://localhost:8553|' "$MACHINE/etc/spike/$file.env"
  done
  for number in 2 3; do
    sed -i "s|^SPIKE_KEEPER_TLS_PORT=.*|SPIKE_KEEPER_TLS_PORT=:8$((number + 3))43|" "$MACHINE/etc/spike/keeper-$number.env"
  done
}

# People: one for each role of `spike`.
operators_add() {
  printf 'u operator - "Operator" /home/operator /bin/bash\nu recoverer - "Takes shares out" /home/recoverer /bin/bash\nu restorer - "Feeds shares in" /home/restorer /bin/bash\n' \
    >"$MACHINE/usr/lib/sysusers.d/people.conf"
  systemd-sysusers --root="$MACHINE" people.conf
  local name
  for name in operator recoverer restorer; do
    install -d -m 0700 -o "$(user_number $name)" "$MACHINE/home/$name"
  done
}

# The stand-in for the SPIRE agent, under the name that the units know. It is not started at boot.
agent_add() {
  install -D "$WORK/programs/workload-api" "$MACHINE/opt/agent/workload-api"
  {
    echo "$(user_number spike-nexus) /usr/local/bin/nexus /spike/nexus"
    echo "$(user_number spike-keeper) /usr/local/bin/keeper /spike/keeper"
    echo "$(user_number spike-bootstrap) /usr/local/bin/bootstrap /spike/bootstrap"
    echo "$(user_number operator) /usr/local/bin/spike /spike/pilot/role/superuser"
    echo "$(user_number recoverer) /usr/local/bin/spike /spike/pilot/role/recover"
    echo "$(user_number restorer) /usr/local/bin/spike /spike/pilot/role/restore"
  } >"$MACHINE/opt/agent/entries"
  # The unit is the one of deploy/spire, so that its sandbox is tried too.
  install -m 0644 deploy/spire/spire-agent.service "$MACHINE/etc/systemd/system/spire-agent.service"
  mkdir -p "$MACHINE/etc/systemd/system/spire-agent.service.d"
  cat >"$MACHINE/etc/systemd/system/spire-agent.service.d/stand-in.conf" <<EOF
[Service]
ExecStart=
ExecStart=/opt/agent/workload-api $AGENT_SOCKET /var/lib/spire/agent $TRUST_DOMAIN /opt/agent/entries 600
EOF
}

# `spike` inside, as one of the people.
spike_as() {
  local who=$1
  shift
  inside runuser -u "$who" -- env HOME="/home/$who" SPIFFE_ENDPOINT_SOCKET="unix://$AGENT_SOCKET" \
    SPIKE_TRUST_ROOT_NEXUS=$TRUST_DOMAIN SPIKE_TRUST_ROOT_PILOT=$TRUST_DOMAIN /usr/local/bin/spike "$@"
}

is_not_ready() { readyz "$NEXUS_HEALTH" 503 || die "Nexus is not sealed"; }

walk_agent_last() {
  case_of "without an agent the machine comes up, the daemons wait, and say for what"
  is_state spike-nexus activating || die "spike-nexus is $(property spike-nexus ActiveState)"
  is_state spike-keeper@1 activating
  eventually 60 journal_says spike-nexus "$AGENT_SOCKET"
  eventually 60 journal_says spike-keeper@1 "$AGENT_SOCKET"
  ends_with 6 spike_as operator secret list
  said "$AGENT_SOCKET"
  case_of "the agent comes last: what waits goes on by itself"
  local entries=$MACHINE/opt/agent/entries
  mv "$entries" "$entries.all"
  grep -v keeper "$entries.all" >"$entries"
  inside systemctl start spire-agent
  eventually 60 is_state spike-nexus active
  case_of "a program that is not registered waits, and says so"
  eventually 60 journal_says spike-keeper@1 "is there a registration entry"
  is_state spike-keeper@1 activating
  ends_with 6 spike_as nobody secret list
  said "registration entry"
  mv "$entries.all" "$entries"
  inside systemctl restart spire-agent
  eventually 60 is_state spike-keeper@1 active
  eventually 60 is_state spike-keeper@2 active
  [[ $(property spike-nexus NRestarts) == 0 ]] || die "spike-nexus was started more than once"
}

walk_nexus_before_keepers() {
  case_of "Nexus before the Keepers: it serves, sealed, and names each; they come, and it finds them"
  inside systemctl stop spike-keeper@1 spike-keeper@2
  inside systemctl restart spike-nexus
  is_not_ready
  eventually 30 nexus_misses 8443
  eventually 30 nexus_misses 8643
  inside systemctl start spike-keeper@1 spike-keeper@2
  eventually 30 nexus_finds 8443
}

# Nexus cannot reach the Keeper of this port.
nexus_misses() { telemetry "$NEXUS_HEALTH" /healthz | grep "Keeper . at https://localhost:$1 unreachable" >/dev/null; }

# Nexus reaches the Keeper of this port, which has no share yet.
nexus_finds() { telemetry "$NEXUS_HEALTH" /healthz | grep "Keeper . at https://localhost:$1 holds no share" >/dev/null; }

walk_bootstrap_before_keepers() {
  case_of "before Bootstrap Nexus is sealed, and spike says so"
  is_not_ready
  ends_with 5 spike_as operator secret list
  cat "$WORK/said"
  case_of "Bootstrap while a Keeper is missing fails, names it, and gives no share to anybody"
  ends_with 1 inside systemctl start spike-bootstrap
  eventually 10 journal_says spike-bootstrap https://localhost:8643
  [[ $(property spike-bootstrap ExecMainStatus) == 1 ]] || die "bootstrap ended with $(property spike-bootstrap ExecMainStatus)"
  is_not_ready
}

walk_bootstrap_wrong_settings() {
  case_of "Bootstrap with wrong settings ends with 78, names them, and is not started again"
  cp "$MACHINE/etc/spike/bootstrap.env" "$WORK/bootstrap.env"
  sed -i 's|^SPIKE_NEXUS_API_URL=.*|SPIKE_NEXUS_API_URL=http://localhost:8553|' "$MACHINE/etc/spike/bootstrap.env"
  ends_with 1 inside systemctl start spike-bootstrap
  [[ $(property spike-bootstrap ExecMainStatus) == 78 ]] || die "bootstrap ended with $(property spike-bootstrap ExecMainStatus)"
  eventually 10 journal_says spike-bootstrap "the scheme is not https"
  cp "$WORK/bootstrap.env" "$MACHINE/etc/spike/bootstrap.env"
}

walk_right_order() {
  case_of "with all Keepers Bootstrap succeeds, and Nexus is ready"
  inside systemctl enable --quiet --now spike-keeper@3
  ends_with 0 inside systemctl start spike-bootstrap
  eventually 10 is_ready
  ends_with 0 spike_as operator secret put tenants/acme/db pass=value-of-this-walk
  get_is value-of-this-walk
  ends_with 0 spike_as operator operator status
  cat "$WORK/said"
}

walk_target() {
  case_of "stopping or restarting spike.target touches no daemon"
  local nexus keeper
  nexus=$(property spike-nexus MainPID)
  keeper=$(property spike-keeper@1 MainPID)
  inside systemctl restart spike.target
  inside systemctl stop spike.target
  [[ $(property spike-nexus MainPID) == "$nexus" && $(property spike-keeper@1 MainPID) == "$keeper" ]] ||
    die "a daemon was started again"
  is_ready || die "Nexus is not ready"
  case_of "Nexus restarts while a Keeper is away: two shares are enough"
  inside systemctl stop spike-nexus spike-keeper@2
  inside systemctl start spike-nexus
  eventually 60 readyz "$NEXUS_HEALTH" 200
  inside systemctl start spike-keeper@2
  all_hold_shares
}

get_is() {
  ends_with 0 spike_as operator secret get tenants/acme/db
  said "$1"
}

gets() { spike_as operator secret get tenants/acme/db; }

walk_sandbox() {
  case_of "systemd-analyze verify has nothing to say"
  ends_with 0 inside systemd-analyze verify --man=no /etc/systemd/system/spike.target \
    /etc/systemd/system/spike-nexus.service spike-keeper@1.service /etc/systemd/system/spike-bootstrap.service
  [[ ! -s $WORK/said ]] || {
    cat "$WORK/said" >&2
    die "systemd-analyze verify complains"
  }
  case_of "systemd-analyze security is 1.5 or lower"
  local unit
  for unit in spike-nexus spike-keeper@1 spike-bootstrap; do
    inside systemd-analyze security --no-pager --threshold=15 "$unit.service" | tail -n 1
  done
  case_of "memory is locked, data is private, and the files are the daemon's"
  if prlimit --memlock=unlimited:unlimited true 2>/dev/null; then
    telemetry "$NEXUS_HEALTH" /healthz >"$WORK/healthz"
    grep -o '"memory_locked":{[^}]*}' "$WORK/healthz" | grep '"status":"ok"' >/dev/null || die "memory is not locked: $(cat "$WORK/healthz")"
  else
    echo "not tried: nobody can raise the limit of locked memory on this machine (it lacks CAP_SYS_RESOURCE)"
  fi
  [[ $(inside stat -c '%a %U' /var/lib/spike-nexus/data/nexus.db) == "600 spike-nexus" ]]
  case_of "Nexus has no way to run a shell"
  inside nsenter --target "$(property spike-nexus MainPID)" --mount -- /bin/true 2>"$WORK/said" && die "it runs /bin/true"
  said "Permission denied"
}

walk_bootstrap_again() {
  case_of "Bootstrap once more changes nothing and ends well"
  ends_with 0 inside systemctl start spike-bootstrap
  get_is value-of-this-walk
}

walk_agent_restarted() {
  case_of "the agent restarts: nothing else does"
  local before
  before=$(property spike-nexus MainPID)
  inside systemctl restart spire-agent
  eventually 30 gets
  [[ $(property spike-nexus MainPID) == "$before" ]] || die "Nexus was started again"
}

walk_killed() {
  local unit before
  for unit in spike-keeper@1 spike-keeper@2 spike-keeper@3 spike-nexus; do
    case_of "kill -9 of $unit: it comes back, and nothing is lost"
    before=$(property "$unit" MainPID)
    inside systemctl kill --signal=KILL "$unit"
    eventually 30 started_again "$unit" "$before"
    all_hold_shares
    eventually 30 is_ready
    get_is value-of-this-walk
  done
}

margin_is() { telemetry "$NEXUS_HEALTH" /metrics | grep "^spike_quorum_margin $1\$" >/dev/null; }

walk_watchdog() {
  case_of "SIGSTOP: the watchdog starts Nexus and a Keeper again"
  local nexus keeper
  nexus=$(property spike-nexus MainPID)
  keeper=$(property spike-keeper@2 MainPID)
  inside kill -STOP "$nexus" "$keeper"
  eventually 90 started_again spike-nexus "$nexus"
  eventually 90 started_again spike-keeper@2 "$keeper"
  journal_says spike-nexus "Watchdog timeout"
  journal_says spike-keeper@2 "Watchdog timeout"
  eventually 30 is_ready
  all_hold_shares
  eventually 30 margin_is 1
  get_is value-of-this-walk
}

walk_wrong_settings() {
  case_of "wrong settings: all of them in the journal, status 78, and no start again"
  cp "$MACHINE/etc/spike/nexus.env" "$WORK/nexus.env"
  sed -i 's|^SPIKE_NEXUS_SHAMIR_THRESHOLD=.*|SPIKE_NEXUS_SHAMIR_THRESHOLD=9|' "$MACHINE/etc/spike/nexus.env"
  echo 'SPIKE_NEXUS_TLS_PORT=8553' >>"$MACHINE/etc/spike/nexus.env"
  ends_with 1 inside systemctl restart spike-nexus
  # The default pause before a start is one second.
  sleep 4
  is_state spike-nexus failed || die "spike-nexus is $(property spike-nexus ActiveState)"
  [[ $(property spike-nexus ExecMainStatus) == 78 ]] || die "status $(property spike-nexus ExecMainStatus)"
  [[ $(property spike-nexus NRestarts) == 0 ]] || die "started again $(property spike-nexus NRestarts) times"
  journal_says spike-nexus SPIKE_NEXUS_SHAMIR_THRESHOLD
  journal_says spike-nexus SPIKE_NEXUS_TLS_PORT
  cp "$WORK/nexus.env" "$MACHINE/etc/spike/nexus.env"
  inside systemctl start spike-nexus
  eventually 30 is_ready
  get_is value-of-this-walk
}

walk_missing_settings() {
  case_of "a Keeper without settings does not start, and the journal names the file"
  ends_with 1 inside systemctl start spike-keeper@9
  # Not journalctl --unit: systemd forgets a unit that did not start.
  inside journalctl --no-pager --output=cat --boot | grep -F "Assertion failed for spike-keeper@9.service - SPIKE Keeper 9 (settings: /etc/spike/keeper-9.env)" >/dev/null ||
    die "the journal does not name the file"
  [[ $(property spike-keeper@9 NRestarts) == 0 ]]
}

walk_reboot() {
  case_of "recovery shares are taken out"
  ends_with 0 spike_as recoverer operator recover --out /home/recoverer/shares
  case_of "after a reboot the Keepers are empty: sealed, until shares are fed back"
  inside systemctl enable --quiet spire-agent
  inside systemctl reboot || true
  local status=0
  wait "$nspawn" || status=$?
  # How nspawn tells whoever started it that the machine wants to boot again.
  ((status == 133)) || die "the machine ended with $status instead of a reboot"
  machine_boot
  eventually 60 is_state spike-nexus active
  eventually 60 is_state spike-keeper@3 active
  is_not_ready
  ends_with 5 spike_as operator secret get tenants/acme/db
  cat "$WORK/said"
  case_of "Bootstrap refuses to make another key"
  ends_with 1 inside systemctl start spike-bootstrap
  [[ $(property spike-bootstrap ExecMainStatus) == 3 ]] || die "bootstrap ended with $(property spike-bootstrap ExecMainStatus)"
  case_of "restore with two shares"
  local share
  for share in 1 3; do
    inside cat "/home/recoverer/shares/spike.recovery.$share.txt" | spike_as restorer operator restore
  done
  eventually 30 is_ready
  eventually 60 margin_is 1
  get_is value-of-this-walk
}

walk_journal() {
  case_of "log and audit log are in the journal, as JSON, without the secret"
  inside journalctl --no-pager --output=cat --unit=spike-nexus _COMM=nexus >"$WORK/journal"
  grep -q '"audit"' "$WORK/journal" || die "no audit line"
  ! grep -q 'value-of-this-walk' "$WORK/journal" || die "a value is in the journal"
}

walk_uninstall() {
  case_of "uninstall refuses while a daemon runs, and names it"
  ends_with 1 inside /root/systemd/uninstall
  said spike-nexus.service
  case_of "an orderly stop ends with 0"
  inside systemctl stop spike-nexus spike-keeper@1 spike-keeper@2 spike-keeper@3
  [[ $(property spike-nexus Result) == success ]] || die "Nexus ended with $(property spike-nexus Result)"
  [[ $(property spike-nexus ExecMainStatus) == 0 ]] || die "Nexus ended with $(property spike-nexus ExecMainStatus)"
  case_of "uninstall leaves settings and data"
  ends_with 0 inside /root/systemd/uninstall
  said "kept /var/lib/spike-nexus"
  [[ $(property spike-nexus LoadState) == not-found ]]
  [[ -e $MACHINE/var/lib/spike-nexus/data/nexus.db && ! -e $MACHINE/usr/local/bin/nexus ]]
}
