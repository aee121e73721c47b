#!/bin/bash
# Submits a search to a running cluster with `ray job submit`; again after the job has failed, as Ray itself
# starts a job once. The package is installed on the cluster, and RUN is a folder that its nodes share.
# usage: RAY_API_SERVER_ADDRESS=http://HEAD:8265 RAY_AUTH_TOKEN_PATH=FILE submit.sh RUN [OPTIONS of sparsenas search]
set -eu
run=${1:?usage: submit.sh RUN [OPTIONS of sparsenas search]}
shift
export RAY_AUTH_MODE=token
: "${RAY_API_SERVER_ADDRESS:?is the address of the head, such as http://head:8265}"
folder=$(cd "$(dirname "$0")" && pwd)
for start in 1 2 3 4 5; do
  if ray job submit --working-dir "$folder" -- bash search.sh "$run" "$@"; then
    exit 0
  fi
  echo "The job ended without success (start $start of 5); it goes on in 10 s." >&2
  sleep 10
done
exit 1
