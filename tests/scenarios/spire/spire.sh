# The surroundings of the scenario, and SPIRE itself.
# shellcheck shell=bash

# Directories of this machine are replaced by others for everything that runs here: nothing outside of $WORK changes.
surroundings_make() {
  local name conf
  rm -rf "$WORK"
  mkdir -p "$WORK/logs" "$WORK/bin"
  ip link set lo up
  cp -a /etc "$WORK/etc"
  mount --bind "$WORK/etc" /etc
  mount --bind "$WORK/bin" /usr/local/bin
  mount -t tmpfs -o mode=0755 tmpfs /var/lib
  mount -t tmpfs -o mode=0755 tmpfs /run
  cat deploy/systemd/sysusers.conf deploy/spire/sysusers.conf >"$WORK/sysusers.conf"
  echo 'u alice - "Operator" /var/lib/alice' >>"$WORK/sysusers.conf"
  systemd-sysusers "$WORK/sysusers.conf" >"$WORK/logs/sysusers.log" 2>&1
  install -D "$SPIRE_SERVER_PROGRAM" /usr/local/bin/spire-server
  install -D "$SPIRE_AGENT_PROGRAM" /usr/local/bin/spire-agent
  for name in nexus keeper bootstrap spike; do
    install "${SPIKE_PROGRAMS:-target/debug}/$([[ -n ${SPIKE_PROGRAMS-} ]] && echo "$name" || echo spike-programs)" "/usr/local/bin/$name"
  done
  mkdir -p /etc/spire
  for conf in server agent; do install -m 0644 "deploy/spire/$conf.conf" "/etc/spire/$conf.conf"; done
  # Lives short enough to see them end.
  sed -i "s|default_x509_svid_ttl = .*|default_x509_svid_ttl = \"${LIFE}s\"|" /etc/spire/server.conf
  grep -q "default_x509_svid_ttl = \"${LIFE}s\"" /etc/spire/server.conf || die "server.conf has another form"
  user_of=([server]=spire-server [agent]=root [nexus]=spike-nexus [keeper]=spike-keeper [bootstrap]=spike-bootstrap)
  directory spire-server 0700 /var/lib/spire/server
  directory spire-server 0755 /run/spire/server/private
  directory spike-ceremony 0700 /var/lib/spike-ceremony
  directory alice 0700 /var/lib/alice
}

directory() { install -d -m "$2" -o "$1" -g "$(id -g "$1")" "$3"; }

server_start() {
  settings=() more_privileges=(--bounding-set=-all)
  run server spire-server /usr/local/bin/spire-server run -config /etc/spire/server.conf
  eventually 60 spire-server healthcheck -socketPath $SERVER_SOCKET
}

# As the page says: the trust bundle, and a token for one use.
agent_join() {
  spire-server bundle show -socketPath $SERVER_SOCKET >/etc/spire/bootstrap.crt
  join_token=$(spire-server token generate -socketPath $SERVER_SOCKET -spiffeID "spiffe://$DOMAIN/spire-agent/$(hostname)" | awk '{print $2}')
  [[ -n $join_token ]] || die "no token"
}

agent_start() {
  directory "${user_of[agent]}" 0700 /var/lib/spire/agent
  directory "${user_of[agent]}" 0755 /run/spire/agent/public
  settings=()
  # What the unit leaves to root.
  more_privileges=(--bounding-set=-all,+sys_ptrace,+dac_read_search)
  run agent "${user_of[agent]}" /usr/local/bin/spire-agent run -config /etc/spire/agent.conf ${join_token:+-joinToken "$join_token"}
  join_token=
  eventually 60 spire-agent healthcheck -socketPath $AGENT_SOCKET
}

# From here on there is one user. An agent that is not root knows the processes of its own user only.
everybody_is() {
  local name
  for name in agent nexus keeper bootstrap; do user_of[$name]=$1; done
}

# The entries of deploy/spire/register are for a user each: these are for one.
register_for_one_user() {
  local pair name id
  for pair in nexus=/spike/nexus keeper=/spike/keeper bootstrap=/spike/bootstrap; do
    name=${pair%%=*} id=${pair#*=}
    ends_with 0 spire-server entry create -socketPath $SERVER_SOCKET -parentID "spiffe://$DOMAIN/spire-agent/$(hostname)" \
      -spiffeID "spiffe://$DOMAIN$id" -selector "unix:user:$1" -selector "unix:path:/usr/local/bin/$name"
  done
}
