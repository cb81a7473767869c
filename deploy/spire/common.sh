# What register, lend-role and take-back-roles share.
# shellcheck shell=bash

# All can be set in the environment.
: "${SPIRE_SERVER:=spire-server}"
: "${SPIRE_SOCKET:=/run/spire/server/private/api.sock}"
: "${TRUST_DOMAIN:=example.org}"
# Whose processes are meant: the ID that was given to the agent of this machine with its join token.
: "${PARENT_ID:=spiffe://$TRUST_DOMAIN/spire-agent/$(hostname)}"
# Where the programs run from, and where they lie now if that is not yet the same.
: "${RUN_DIR:=/usr/local/bin}"
: "${PROGRAMS:=$RUN_DIR}"

# SPIRE takes no selector with a space in it, and the lists below are of words.
[[ $RUN_DIR != *[[:space:]]* ]] || {
  printf '%s: RUN_DIR is %s: a path with a space cannot be a selector\n' "$(basename "$0")" "$RUN_DIR" >&2
  exit 1
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

entry() {
  local verb=$1
  shift
  "$SPIRE_SERVER" entry "$verb" -socketPath "$SPIRE_SOCKET" "$@"
}

server_needed() {
  command -v "$SPIRE_SERVER" >/dev/null || die "no $SPIRE_SERVER on PATH: name it with SPIRE_SERVER"
  "$SPIRE_SERVER" healthcheck -socketPath "$SPIRE_SOCKET" >/dev/null 2>&1 ||
    die "the SPIRE server does not answer on $SPIRE_SOCKET: start it (systemctl start spire-server), or name its socket with SPIRE_SOCKET"
}

# The hash of a program, as unix:sha256 wants it.
hash_of() {
  [[ -f $PROGRAMS/$1 ]] || die "$PROGRAMS/$1 is missing: install it first, or name the directory with PROGRAMS"
  sha256sum "$PROGRAMS/$1" | cut -d' ' -f1
}

# One line for each entry with this SPIFFE ID and our parent: its ID, then its selectors, sorted.
entries_of() {
  entry show -spiffeID "$1" -parentID "$PARENT_ID" | lines_of_entries
}

# The parents, beside ours, below which there are entries with this SPIFFE ID.
other_parents_of() {
  entry show -spiffeID "$1" | awk -v own="$PARENT_ID" '/^Parent ID *:/ && $NF != own { print $NF }' | sort -u
}

# The DNS names of the entries with this SPIFFE ID and our parent, for this user.
dns_names_of() {
  values_of "$1" "$2" "DNS name"
}

# The trust domains that the entries with this SPIFFE ID and our parent federate with, for this user.
federated_with_of() {
  values_of "$1" "$2" FederatesWith
}

# values_of ID USER LABEL: each value with this label in the entries with this SPIFFE ID and our parent, for this user.
values_of() {
  entry show -spiffeID "$1" -parentID "$PARENT_ID" | awk -v user="unix:user:$2" -v label="$3" '
    function out(   i) { if (ours) for (i = 1; i <= count; i++) print names[i] }
    /^Entry ID *:/ { out(); count = 0; ours = 0 }
    /^Selector *:/ && $NF == user { ours = 1 }
    $0 ~ "^" label " *:" { names[++count] = $NF }
    END { out() }' | sort -u
}

lines_of_entries() {
  awk '
    function out() { if (id != "") { n = asort_words(selectors, count); line = id; for (i = 1; i <= n; i++) line = line " " selectors[i]; print line } }
    function asort_words(a, n,   i, j, t) { for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t } return n }
    /^Entry ID *:/ { out(); id = $NF; count = 0 }
    /^Selector *:/ { selectors[++count] = $NF }
    END { out() }'
}

# The selectors of a program that a user runs, as entries_of writes them.
selectors_of() {
  local user=$1 program=$2 hash
  hash=$(hash_of "$program") || return
  # In this order they are sorted.
  echo "unix:path:$RUN_DIR/$program unix:sha256:$hash unix:user:$user"
}

# create_entry ID USER PROGRAM [ARGUMENT...]: unless there is the same already.
create_entry() {
  local id=$1 user=$2 program=$3 selectors selector arguments=()
  shift 3
  selectors=$(selectors_of "$user" "$program")
  if entries_of "$id" | cut -d' ' -f2- | grep -xF -- "$selectors" >/dev/null; then
    echo "there already: $id for $user"
    return
  fi
  for selector in $selectors; do arguments+=(-selector "$selector"); done
  entry create -parentID "$PARENT_ID" -spiffeID "$id" "${arguments[@]}" "$@" >/dev/null
  echo "registered: $id for $user"
}
