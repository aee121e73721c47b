#!/bin/bash
# Starts a search in the folder RUN, or goes on with the one that is there: what every launcher calls, again and
# again, whatever ended the last one.
# usage: search.sh RUN [OPTIONS of sparsenas search]
set -eu
run=${1:?usage: search.sh RUN [OPTIONS of sparsenas search]}
shift
if [ -e "$run/config.json" ]; then
  exec sparsenas search --resume "$run" "$@"
fi
exec sparsenas search --out "$run" "$@"
