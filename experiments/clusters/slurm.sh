#!/bin/bash
# A search on four nodes of a Slurm cluster; when the time is over it is queued again and goes on.
# usage: sbatch slurm.sh RUN [OPTIONS of sparsenas search]
#SBATCH --job-name=sparsenas
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -eu
run=${1:?usage: sbatch slurm.sh RUN [OPTIONS of sparsenas search]}
shift
# Slurm runs a copy of this script; the folder that it was submitted from has the others.
folder=${SPARSENAS_CLUSTERS:-$SLURM_SUBMIT_DIR}

# One token for this job, in a file that nobody else reads.
umask 077
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$HOME/.ray/token-$SLURM_JOB_ID
mkdir -p "$HOME/.ray"
[ -e "$RAY_AUTH_TOKEN_PATH" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH"
# Workers as urgent as everything else on the node.
export RAY_worker_niceness=0

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}'):6379

# Two minutes before the end: back into the queue. What is done is in the run's folder.
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
srun ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" -- \
  bash "$folder/search.sh" "$run" --cluster "$address" "$@" &
wait $!
rm -f "$RAY_AUTH_TOKEN_PATH"
