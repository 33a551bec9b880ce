#!/usr/bin/env bash
# Starts a Slurm of two nodes on this machine for tests, in a folder of its own, and stops it.
# Usage: bash tests/cluster/start_slurm.sh start|stop FOLDER
# Needs slurm-wlm and munge, and root, as which jobs run then. Afterwards `SLURM_CONF=FOLDER/slurm.conf sbatch ...`.
# Where slurmd was built for one daemon a machine there is one node.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
DIR=$(mkdir -p "$2" && cd "$2" && pwd)
HOST=$(hostname -s)

# free_ports N: numbers of ports that nobody listens at.
free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
found = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in found:
    one.bind(("", 0))
print(*(one.getsockname()[1] for one in found))
PYTHON
}

stop() {
  local file
  for file in "$DIR"/*.pid; do
    [ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
  done
}

configure() {
  local ports nodes=$1
  read -ra ports <<<"$(free_ports 3)"
  cat >"$DIR/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
# A job that was queued again waits for the expiry of its credential.
AuthInfo=socket=$DIR/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool.%n
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd.%n.pid
SlurmctldLogFile=$DIR/slurmctld.log
SlurmdLogFile=$DIR/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=2,sched_interval=2
ReturnToService=2
KillWait=30
JobRequeue=1
MpiDefault=none
NodeName=n1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=4 State=UNKNOWN
CONF
  [ "$nodes" = 1 ] || echo "NodeName=n2 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=4 State=UNKNOWN" >>"$DIR/slurm.conf"
  echo "PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO" >>"$DIR/slurm.conf"
}

start() {
  local nodes=2 node i
  [[ $(slurmd -h 2>&1) == *' -N node '* ]] || nodes=1
  mkdir -p "$DIR/state"
  chmod 755 "$DIR"
  head -c 1024 /dev/urandom >"$DIR/munge.key"
  chmod 400 "$DIR/munge.key"
  munged --force --key-file "$DIR/munge.key" --socket "$DIR/munge.socket" --pid-file "$DIR/munged.pid" \
    --log-file "$DIR/munged.log" --seed-file "$DIR/munge.seed"
  configure "$nodes"
  export SLURM_CONF="$DIR/slurm.conf"
  slurmctld -c
  for ((i = 1; i <= nodes; i++)); do
    node=(-N "n$i")
    slurmd "${node[@]}"
  done
  for ((i = 0; i < 100; i++)); do
    if [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | wc -l)" = "$nodes" ]; then
      echo "$nodes"
      return
    fi
    sleep 0.2
  done
  echo "start_slurm: the nodes did not become idle" >&2
  tail -n 5 "$DIR"/*.log >&2
  return 1
}

"$1"
