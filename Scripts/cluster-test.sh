#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs samples/cluster/slurm.sh on a real Slurm with three nodes started on this machine: 2 and 7 shards of a
# clip, with a task requeued while it runs, a killed task, and a lost node; then samples/cluster/parallel.sh.
# The joined files must equal the output of a single run. Run as root; needs slurmctld, slurmd, munge and
# parallel (`make cluster` installs them), and the program.
#
#     Scripts/cluster-test.sh .build/release/videnhance
set -euo pipefail

program=$(realpath "$1")
samples=$(realpath "$(dirname "$0")/../samples/cluster")
dir=$(mktemp -d /tmp/videnhance-cluster.XXXXXX)
chmod 755 "$dir"
export PATH=$dir/bin:$PATH SLURM_CONF=$dir/slurm.conf
mkdir -p "$dir"/bin "$dir"/state "$dir"/spool.n{1,2,3} "$dir"/run
# Records which processes run on which node, to be able to kill them.
cat > "$dir/bin/videnhance" << END
#!/bin/sh
if [ -n "\${SLURMD_NODENAME:-}" ]; then
  echo "\$\$ \$PPID \$(cut -d ' ' -f 4 /proc/\$PPID/stat)" > "$dir/run-\$SLURMD_NODENAME"
fi
exec "$program" "\$@"
END
chmod +x "$dir/bin/videnhance"

pids() { cat "$dir"/slurmd.n?.pid "$dir/slurmctld.pid" "$dir/run/munge.pid" 2> /dev/null; }
finish() {
  code=$?
  scancel --quiet --user=root 2> /dev/null || true
  sleep 1
  for pid in $(pids); do kill "$pid" 2> /dev/null || true; done
  sleep 1
  if [ "$code" = 0 ]; then rm -rf "$dir"; else echo "logs are in $dir" >&2; fi
}
trap finish EXIT

# Ports that are unlikely to be in use.
base=$((20000 + RANDOM % 10000))
host=$(hostname)
{
  cat << END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
ProctrackType=proctrack/linuxproc
ReturnToService=0
SlurmctldPidFile=$dir/slurmctld.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.%n.log
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmdSpoolDir=$dir/spool.%n
StateSaveLocation=$dir/state
SlurmUser=root
SwitchType=switch/none
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdTimeout=10
KillWait=5
SlurmdParameters=config_overrides
AuthInfo=socket=$dir/run/munge.socket
PartitionName=all Nodes=ALL Default=YES State=UP
END
  for n in 1 2 3; do echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=$((base + n)) CPUs=1 State=UNKNOWN"; done
} > "$dir/slurm.conf"

dd if=/dev/urandom of="$dir/run/munge.key" bs=1024 count=1 status=none
chmod 600 "$dir/run/munge.key"
chown -R munge "$dir/run"
su -s /bin/sh munge -c "munged --force --key-file=$dir/run/munge.key --socket=$dir/run/munge.socket \
  --pid-file=$dir/run/munge.pid --log-file=$dir/run/munge.log --seed-file=$dir/run/seed"
slurmctld -c
for n in 1 2 3; do slurmd -N "n$n"; done
for _ in $(seq 50); do [ "$(sinfo -h -N -t idle | wc -l)" = 3 ] && break; sleep 0.2; done
[ "$(sinfo -h -N -t idle | wc -l)" = 3 ] || { echo "Slurm does not start" >&2; exit 1; }

cd "$dir"
ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=320x240:rate=25:duration=12 -f lavfi -i sine=duration=12 \
  -c:v libx264 -g 40 -c:a flac film.mkv
options=(--task denoise --crf 20 --preset veryfast)
packets() { ffprobe -v error -show_packets -show_data_hash sha256 -show_streams "$1"; }

# plan NAME SHARDS; compare NAME: compares the joined file with a single run's.
plan() { videnhance plan film.mkv "$1.mkv" "${options[@]}" --segment-frames 12 --encoder-threads 1 --shards "$2" -o "$1.json" --quiet; }
compare() { packets "$1.mkv" | cmp - one.txt && echo "$1: equal to one run"; }
wait_for() { # JOB: until it has left the queue
  for _ in $(seq 3600); do
    [ -z "$(squeue -h -j "$1" 2> /dev/null)" ] && return
    sleep 0.5
  done
  echo "job $1 does not end" >&2
  squeue >&2
  exit 1
}
submit() { CPUS=1 "$samples/slurm.sh" "$1.json" | awk '{print $2}' | tr -d :; }

videnhance film.mkv one.mkv "${options[@]}" --segment-frames 12 --threads 1 --quiet
packets one.mkv > one.txt

plan two 2
read -r array join < <(submit two | xargs)
wait_for "$array"
wait_for "$join"
compare two

plan seven 7
read -r array join < <(submit seven | xargs)
until [ "$(squeue -h -t R -j "$array" | wc -l)" = 3 ] && ls seven.json.pieces/*.piece > /dev/null 2>&1; do sleep 0.1; done
tasks=($(squeue -h -t R -r -o '%i' -j "$array"))
echo "requeued at work: ${tasks[0]}"
scontrol requeue "${tasks[0]}"
# The program is killed, as the kernel does when memory runs out.
node=$(squeue -h -t R -o %N -j "$array" | grep -v n3 | head -1)
read -r victim _ < "run-$node"
kill -KILL "$victim" && echo "killed: the program on $node"
# A node is lost with everything that runs on it.
kill -KILL "$(cat slurmd.n3.pid)"
read -r victim shell step < run-n3
for pid in "$step" "$shell" "$victim"; do kill -KILL "$pid" 2> /dev/null || true; done
scontrol update nodename=n3 state=down reason=test
echo "gone: n3 $(sinfo -h -n n3 -o %t)"
wait_for "$array"
wait_for "$join"
compare seven

# A name with a space, which parallel hands to a shell.
plan "in parallel" 5
JOBS=2 THREADS=1 "$samples/parallel.sh" "in parallel.json"
compare "in parallel"
