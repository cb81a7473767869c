# Part `spire` of .ci/deploy: the scripts of deploy/spire, against a stand-in for spire-server that keeps entries in files and
# answers in the words of the real one; then everything with a real SPIRE, where there is one on PATH.
# shellcheck shell=bash

readonly SPIRE=$WORK/spire

part_spire() {
  rm -rf "$SPIRE"
  mkdir -p "$SPIRE/entries" "$SPIRE/programs"
  cp .ci/deploy.d/stand-in/spire-server "$SPIRE/spire-server"
  touch "$SPIRE/api.sock"
  export SPIRE_ENTRIES=$SPIRE/entries SPIRE_SOCKET=$SPIRE/api.sock
  export SPIRE_SERVER=$SPIRE/spire-server TRUST_DOMAIN PROGRAMS=$SPIRE/programs CEREMONY_USER=nobody
  export PARENT_ID=spiffe://$TRUST_DOMAIN/spire-agent/here
  local program
  for program in nexus keeper bootstrap spike; do echo "$program, first build" >"$SPIRE/programs/$program"; done
  walk_register
  walk_new_build
  walk_federation
  walk_ceremony
  scenario_with_a_real_one
}

entries_are() {
  local count
  count=$(find "$SPIRE/entries" -type f | wc -l)
  ((count == $1)) || die "$count entries instead of $1"
}

walk_register() {
  case_of "register makes an entry for each program, with user, path and hash, and none twice"
  ends_with 0 env NEXUS_DNS="nexus.example.org localhost" deploy/spire/register nexus keeper bootstrap operator:root
  entries_are 4
  local hash
  hash=$(sha256sum "$SPIRE/programs/nexus" | cut -d' ' -f1)
  for line in "SPIFFE ID        : spiffe://example.org/spike/nexus" "Selector         : unix:user:spike-nexus" \
    "Selector         : unix:path:/usr/local/bin/nexus" "Selector         : unix:sha256:$hash" "DNS name         : localhost"; do
    grep -rqxF -- "$line" "$SPIRE/entries" || die "no entry has: $line"
  done
  ends_with 0 deploy/spire/register nexus keeper bootstrap operator:root
  said "there already"
  entries_are 4
  case_of "register names what is missing"
  ends_with 1 deploy/spire/register operator:no-such-user
  said "no such user"
  ends_with 1 env SPIRE_SERVER=/nowhere/spire-server deploy/spire/register nexus
  said "SPIRE_SERVER"
  ends_with 1 env PROGRAMS=/nowhere deploy/spire/register nexus
  said "/nowhere/nexus is missing"
  case_of "--help is the comment that register begins with, and nothing after it"
  ends_with 0 deploy/spire/register --help
  said "register --forget-old …."
  ! grep -q -e shellcheck -e pipefail "$WORK/said" || die "it says more than that"
  case_of "Bootstrap's entry is taken away when it is done"
  ends_with 0 deploy/spire/register --forget bootstrap
  entries_are 3
}

walk_new_build() {
  case_of "a new build gets entries beside the old ones, and afterwards the old ones go"
  echo "nexus, second build" >"$SPIRE/programs/nexus"
  ends_with 0 deploy/spire/register nexus
  said "with the names that it had: localhost nexus.example.org"
  entries_are 4
  ends_with 0 deploy/spire/register --forget-old nexus keeper
  said "taken away"
  grep -rqxF "DNS name         : nexus.example.org" "$SPIRE/entries" || die "the entry of the new build has not the names of the old one"
  entries_are 3
  grep -rqF "$(sha256sum "$SPIRE/programs/nexus" | cut -d' ' -f1)" "$SPIRE/entries" || die "the entry of the new build is gone"
}

walk_federation() {
  case_of "Nexus federates with whom FEDERATES_WITH names, and the entry of a new build with the same"
  ends_with 0 deploy/spire/register --forget nexus
  ends_with 0 env NEXUS_DNS=localhost FEDERATES_WITH="partner.org spiffe://other.org" deploy/spire/register nexus
  entries_are 3
  for name in partner.org other.org; do
    grep -rqxF "FederatesWith    : $name" "$SPIRE/entries" || die "no entry federates with $name"
  done
  echo "nexus, third build" >"$SPIRE/programs/nexus"
  ends_with 0 deploy/spire/register --forget-old nexus
  said "federated as before with: other.org partner.org"
  entries_are 3
  local count
  count=$(grep -rhxF "FederatesWith    : partner.org" "$SPIRE/entries" | wc -l)
  ((count == 1)) || die "$count entries federate with partner.org"
}

walk_ceremony() {
  case_of "a role is lent with an end, to nobody who has another one, and taken back"
  ends_with 0 deploy/spire/lend-role recover
  entries_are 4
  grep -rqF 'More             : -entryExpiry' "$SPIRE/entries" || die "the loan has no end"
  ends_with 1 deploy/spire/lend-role restore
  said "has the role recover"
  ends_with 1 env CEREMONY_USER=root deploy/spire/lend-role recover
  said "has the role superuser"
  ends_with 0 deploy/spire/take-back-roles
  entries_are 3
  ends_with 0 deploy/spire/take-back-roles
  said "nobody has the role restore"
}

scenario_with_a_real_one() {
  case_of "the scenario with a real SPIRE"
  env -u SPIRE_ENTRIES -u SPIRE_SOCKET -u SPIRE_SERVER -u PROGRAMS -u CEREMONY_USER -u PARENT_ID -u TRUST_DOMAIN \
    SPIKE_PROGRAMS="$WORK/programs" tests/scenarios/spire/run
}
