# Part `walk` of .ci/deploy: the pages of docs/operations as a newcomer goes through them, command by command, on a booted Debian.
# The commands are read from the pages. With spire-server and spire-agent on PATH, the walk is made with these; otherwise with
# stand-ins, which know entries and hand out SVIDs, and look at no hash.
# shellcheck shell=bash

readonly PAGES=docs/operations
# Where the walker stands, as the page says: in the directory of the release.
readonly RELEASE=/root/spike

part_walk() {
  trap machine_off EXIT
  walk_machine
  walk_bare_metal
  walk_hardening
  walk_roles
  walk_upgrading
  walk_backup
  walk_power_cut
}

walk_machine() {
  local name programs=$MACHINE/usr/local/bin
  machine_new
  mkdir -p "$programs" "$MACHINE$RELEASE/bin" "$MACHINE/root/spike-new/bin"
  cp -r deploy "$MACHINE$RELEASE/deploy"
  for name in nexus keeper bootstrap spike; do
    cp "$WORK/programs/$name" "$MACHINE$RELEASE/bin/$name"
    # A new build: it does the same, and has another hash.
    { cat "$WORK/programs/$name" && echo newer; } >"$MACHINE/root/spike-new/bin/$name"
    chmod 0755 "$MACHINE/root/spike-new/bin/$name"
  done
  if command -v spire-server >/dev/null && command -v spire-agent >/dev/null; then
    echo "with $(command -v spire-server) and $(command -v spire-agent)"
    cp "$(command -v spire-server)" "$(command -v spire-agent)" "$programs"
  else
    echo "with stand-ins for spire-server and spire-agent, which are not on PATH"
    cp .ci/deploy.d/stand-in/spire-server .ci/deploy.d/stand-in/spire-agent "$WORK/programs/workload-api" "$programs"
  fi
  # The person of the page, who is a user of the machine already.
  echo 'u alice - "Operator" /home/alice /bin/bash' >"$MACHINE/usr/lib/sysusers.d/people.conf"
  systemd-sysusers --root="$MACHINE" people.conf
  install -d -m 0700 -o "$(user_number alice)" "$MACHINE/home/alice"
  machine_boot
}

# The commands between a heading of a page and the next one of its kind.
commands_of() {
  awk -v heading="$2" '
    /^##/ { inside = ($0 == heading) }
    inside && /^```sh$/ { code = 1; next }
    /^```$/ { code = 0 }
    code' "$PAGES/$1" >"$WORK/commands"
  [[ -s $WORK/commands ]] || die "$1 has no commands under $2"
  cat "$WORK/commands"
}

# What the walker does without being told again: the programs are built already, and `spike` is run by the operator.
as_the_walker_does() {
  sed -e 's|^cargo build .*|:|' -e 's|^deploy/systemd/install |&--programs bin |' -e 's|--programs bin --programs|--programs|' \
    -e "s|^spike \(.*[^ ]\) *#.*|spike \1|" -e "s|^spike .*|su - alice -c '&'|"
}

# Types the commands on standard input, as root, in a shell in which the first command of the first page was typed.
types() {
  local what=$1 status=0
  { echo 'PS4="\$ "; set -Eeuxo pipefail'; echo "cd $RELEASE; export TRUST_DOMAIN=example.org"; cat; } >"$MACHINE/root/typed"
  inside env --ignore-environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
    bash /root/typed >"$WORK/said" 2>&1 </dev/null || status=$?
  ((status == 0)) || {
    tail -n 40 "$WORK/said" >&2
    die "$what: a command ended with $status"
  }
}

# The page must have this command, in a line or in a table.
on_the_page() { grep -qF -- "$2" "$PAGES/$1" || die "$1 does not have: $2"; }

walk_bare_metal() {
  local section
  for section in "## 1. Programs" "## 2. SPIRE"; do
    case_of "bare-metal.md, ${section#\#\# }"
    commands_of bare-metal.md "$section" | as_the_walker_does | types "$section"
  done
  said "spiffe://example.org/spike/bootstrap"
  case_of "bare-metal.md, 3. Settings: the table, and the commands"
  settings_from_the_table | types "the table"
  commands_of bare-metal.md "## 3. Settings" | as_the_walker_does | types "## 3. Settings"
  said "every setting is valid"
  case_of "bare-metal.md, 4. Start"
  commands_of bare-metal.md "## 4. Start" | as_the_walker_does | types "## 4. Start"
  said "State       : ready"
  case_of "bare-metal.md, 5. Recovery shares"
  commands_of bare-metal.md "## 5. Recovery shares" | as_the_walker_does | types "## 5. Recovery shares"
  on_the_page bare-metal.md 'rm -r /var/lib/spike-ceremony/shares'
  types "the custodians" <<<'cp -r /var/lib/spike-ceremony/shares /root/custodians; rm -r /var/lib/spike-ceremony/shares'
}

# The rows "file | line" of the page, as commands that change the files and look whether they did.
settings_from_the_table() {
  awk -F'|' '
    /^##/ { inside = ($0 == "## 3. Settings") }
    inside && $2 ~ /env`/ {
      line = $3; gsub(/^ *`|` *$/, "", line)
      count = split($2, files, ",")
      for (n = 1; n <= count; n++) { gsub(/[` ]/, "", files[n]); print files[n], line }
    }' "$PAGES/bare-metal.md" >"$WORK/settings"
  (($(wc -l <"$WORK/settings") >= 5)) || die "the table of settings has another form"
  while read -r file line; do
    echo "sed -i 's|^${line%%=*}=.*|$line|' /etc/spike/$file; grep -xF '$line' /etc/spike/$file"
  done <"$WORK/settings"
}

value_is_there() {
  eventually 60 inside su - alice -c 'spike secret get tenants/acme/db'
  grep -q app "$WORK/eventually.out" || die "the value is another: $(cat "$WORK/eventually.out")"
}

# What a booted container can show of the list. Each command is on the page.
walk_hardening() {
  local command expected
  case_of "hardening.md: the checks that this machine can show"
  while IFS=$'\t' read -r command expected; do
    on_the_page hardening.md "$command"
    types "$command" <<<"$command"
    grep -qE -- "$expected" "$WORK/said" || {
      cat "$WORK/said" >&2
      die "$command does not say $expected"
    }
    echo "$command"
  done <<'END'
ps -o user,comm -C nexus,keeper	spike-n.* +nexus
systemd-analyze security spike-nexus	Overall exposure level for spike-nexus.service: 1\.[0-5]
stat /var/lib/spike-nexus/data	0700
deploy/spire/take-back-roles	nobody has the role restore
END
  for command in "grep -r BOOTSTRAP_FORCE /etc/spike" "find / -name 'spike.recovery*' 2>/dev/null"; do
    on_the_page hardening.md "$command"
    types "$command" <<<"{ $command || true; } | grep -v custodians >/tmp/found || true; test ! -s /tmp/found"
    echo "$command"
  done
  for command in "spike operator status" "spike policy list"; do
    on_the_page hardening.md "$command"
    as_the_walker_does <<<"$command" | types "$command"
    echo "$command"
  done
}

# What the scripts that lend roles do apart from the way of the pages.
walk_roles() {
  case_of "a role that is lent twice lasts from the second time on, and there is one entry"
  local first second
  types "lend" <<<'deploy/spire/lend-role recover'
  first=$(entry_of_recover)
  types "lend again" <<<'deploy/spire/lend-role recover'
  second=$(entry_of_recover)
  [[ -n $second && $first != "$second" && $(wc -w <<<"$second") == 1 ]] || die "the entries are: $first, then $second"
  case_of "a role that is lent below another agent is not told as lent to nobody"
  types "the same, asked for elsewhere" <<<'if PARENT_ID=spiffe://example.org/spire-agent/other deploy/spire/take-back-roles; then exit 1; fi'
  said "the role recover is lent below another agent: PARENT_ID=spiffe://example.org/spire-agent/"
  if grep -qF "nobody has the role recover" "$WORK/said"; then die "it says that nobody has it"; fi
  types "take back" <<<'deploy/spire/take-back-roles'
  said "taken back: recover"
  [[ -z $(entry_of_recover) ]] || die "it is there still"
  case_of "a path with a space, which cannot be a selector, is refused by its name"
  types "a space" <<<'if RUN_DIR="/opt/my programs" deploy/spire/register nexus; then exit 1; fi'
  said "a path with a space cannot be a selector"
}

entry_of_recover() {
  inside spire-server entry show -socketPath /run/spire/server/private/api.sock \
    -spiffeID spiffe://example.org/spike/pilot/role/recover | sed -n 's/^Entry ID *: //p'
}

walk_upgrading() {
  local time
  case_of "upgrading.md: a backup, and another one on the same day"
  for time in first second; do
    # A backup is named after its second, and never replaces another.
    sleep 1
    commands_of upgrading.md "### A backup" | as_the_walker_does | types "the $time backup"
    eventually 60 is_ready
    value_is_there
    # A backup is named after its second, and this machine makes two in one.
    sleep 1
  done
  [[ $(inside ls /var/lib/spike-backup | grep -c '^spike-.*\.backup$') == 2 ]] || die "there are not two backups"
  case_of "upgrading.md: a Keeper that does not come back stops the upgrade of the others"
  # The functions of the page, on a machine where nothing restarts and the first Keeper does not get ready.
  {
    ready_functions
    echo 'systemctl() { echo "asked to $*"; }; ready() { [[ $1 != 9443 ]]; }'
    echo 'if next 1 9443 && next 2 9543; then exit 1; fi'
  } | types "a Keeper that does not come back"
  said "STOP: Keeper 1"
  if grep -q "asked to restart spike-keeper@2" "$WORK/said"; then die "the second Keeper was restarted"; fi
  case_of "upgrading.md: with systemd, to a build with other hashes"
  local nexus
  nexus=$(property spike-nexus MainPID)
  commands_of upgrading.md "## With systemd" | as_the_walker_does | types "with systemd"
  [[ $(property spike-nexus MainPID) != "$nexus" ]] || die "Nexus is the old one"
  inside cmp /usr/local/bin/nexus /root/spike-new/bin/nexus
  ends_with 0 inside spire-server entry show -socketPath /run/spire/server/private/api.sock -spiffeID spiffe://example.org/spike/nexus
  [[ $(grep -c '^DNS name' "$WORK/said") == 2 ]] || die "Nexus does not have the DNS names that it had: $(cat "$WORK/said")"
  all_hold_shares
  value_is_there
}

# The functions that the page has typed.
ready_functions() { commands_of upgrading.md "## With systemd" | grep -E '^(ready|next)\(\)'; }

walk_backup() {
  case_of "backup.md: one by hand, and back after the data directory was moved away"
  commands_of backup.md "## How to make one" | grep -E '^(install|runuser) ' | types "a backup by hand"
  said "verified  every byte has its checksum"
  commands_of backup.md "## How to restore one" | as_the_walker_does | types "the way back"
  said "restored to /var/lib/spike-nexus/data"
  eventually 60 is_ready
  value_is_there
  all_hold_shares
}

walk_power_cut() {
  local status=0 share
  case_of "bare-metal.md, 6. After the machine was off"
  inside systemctl reboot || true
  wait "$nspawn" || status=$?
  # How nspawn tells whoever started it that the machine wants to boot again.
  ((status == 133)) || die "the machine ended with $status instead of a reboot"
  machine_boot
  eventually 60 is_state spike-nexus active
  eventually 60 is_state spike-keeper@3 active
  eventually 60 readyz "$NEXUS_HEALTH" 503
  # The command that is run once for each share is given one each time, as from a keyboard.
  commands_of bare-metal.md "## 6. After the machine was off" | as_the_walker_does |
    sed -e "s|^su - spike-ceremony -c 'spike operator restore'.*|for share in 1 3; do & </root/custodians/spike.recovery.\$share.txt; done|" \
      -e "s|  *# once for each share[^<]*<|<|" | types "after the machine was off"
  said "State       : ready"
  for share in 9443 9543 9643; do eventually 60 readyz "$share" 200; done
  value_is_there
}
