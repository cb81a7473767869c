# Part `spire` of .ci/deploy: the scripts of deploy/spire, against a stand-in for `spire-server entry` that keeps entries in
# files and answers in the words of the real one. What it cannot show: that a real server takes the arguments.
# shellcheck shell=bash

readonly SPIRE=$WORK/spire

part_spire() {
  rm -rf "$SPIRE"
  mkdir -p "$SPIRE/entries" "$SPIRE/programs"
  stand_in_make
  export SPIRE_SERVER=$SPIRE/spire-server TRUST_DOMAIN PROGRAMS=$SPIRE/programs CEREMONY_USER=nobody
  export PARENT_ID=spiffe://$TRUST_DOMAIN/spire-agent/here
  local program
  for program in nexus keeper bootstrap spike; do echo "$program, first build" >"$SPIRE/programs/$program"; done
  walk_register
  walk_new_build
  walk_ceremony
}

stand_in_make() {
  cat >"$SPIRE/spire-server" <<'EOF'
#!/usr/bin/env bash
set -euo pipefail
here=$(dirname "$0")/entries
[[ $1 != healthcheck ]] || exit 0
[[ $1 == entry ]] || exit 2
verb=$2
shift 2
id='' parent='' number='' selectors=() more=()
while (($#)); do
  case $1 in
    -socketPath) ;;
    -spiffeID) id=$2 ;;
    -parentID) parent=$2 ;;
    -entryID) number=$2 ;;
    -selector) selectors+=("$2") ;;
    -dns | -x509SVIDTTL | -entryExpiry) more+=("$1 $2") ;;
    *) echo "flag provided but not defined: $1" >&2; exit 2 ;;
  esac
  shift 2
done
case $verb in
  create)
    number=$(cat /proc/sys/kernel/random/uuid)
    {
      printf 'Entry ID         : %s\nSPIFFE ID        : %s\nParent ID        : %s\nRevision         : 0\n' "$number" "$id" "$parent"
      printf 'Selector         : %s\n' "${selectors[@]}"
      ((${#more[@]} == 0)) || printf 'More             : %s\n' "${more[@]}"
    } >"$here/$number"
    ;;
  show)
    shopt -s nullglob
    for file in "$here"/*; do
      if grep -qxF "SPIFFE ID        : $id" "$file" && grep -qxF "Parent ID        : $parent" "$file"; then cat "$file"; echo; fi
    done
    ;;
  delete) rm "$here/$number" ;;
esac
EOF
  chmod +x "$SPIRE/spire-server"
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
    "Selector         : unix:path:/usr/local/bin/nexus" "Selector         : unix:sha256:$hash" "More             : -dns localhost"; do
    cat "$SPIRE"/entries/* | grep -qxF "$line" || die "no entry has: $line"
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
  entries_are 4
  ends_with 0 deploy/spire/register --forget-old nexus keeper
  said "taken away"
  entries_are 3
  grep -rqF "$(sha256sum "$SPIRE/programs/nexus" | cut -d' ' -f1)" "$SPIRE/entries" || die "the entry of the new build is gone"
}

walk_ceremony() {
  case_of "a role is lent with an end, to nobody who has another one, and taken back"
  ends_with 0 deploy/spire/lend-role recover
  entries_are 4
  cat "$SPIRE"/entries/* | grep -q 'More             : -entryExpiry' || die "the loan has no end"
  ends_with 1 deploy/spire/lend-role restore
  said "has the role recover"
  ends_with 1 env CEREMONY_USER=root deploy/spire/lend-role recover
  said "has the role superuser"
  ends_with 0 deploy/spire/take-back-roles
  entries_are 3
  ends_with 0 deploy/spire/take-back-roles
  said "nobody has the role restore"
}
