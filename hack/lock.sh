#!/usr/bin/env bash
# Resolves requirements/*.txt again: every version pinned with its hashes, no host named.
# Versions that are locked already stay unless an argument such as `--upgrade` or
# `--upgrade-package kopf` is given; all arguments go to uv. Our own distribution is never listed:
# it is installed from the checkout or from its wheel.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
UV=${UV:-../.venv/bin/uv}

lock() { # OUTPUT SOURCE...
  local output=$1
  shift
  "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-emit-package dgdr-operator \
    --custom-compile-command hack/lock.sh --output-file "$output" "$@"
}

# What several programs share has one version: everything of ours follows the developers' lock.
lock dev.txt ../pyproject.toml dev.in --extra dev "$@"
lock operator.txt ../pyproject.toml --extra operator --extra planner --constraints dev.txt "$@"
lock profiler.txt ../pyproject.toml --extra profiler --constraints dev.txt "$@"
lock tools.txt tools.in --constraints dev.txt "$@"
lock numeric.txt numeric.in --constraints dev.txt "$@"
lock aiperf.txt aiperf.in --overrides aiperf-overrides.in "$@"
lock dynamo-mocker.txt dynamo-mocker.in --overrides dynamo-mocker-overrides.in "$@"
lock dynamo-mocker-1.0.txt dynamo-mocker-1.0.in "$@"
lock dynamo-vllm-cpu.txt dynamo-vllm-cpu.in --overrides dynamo-vllm-cpu-overrides.in "$@"
lock cuda-stubs.txt cuda-stubs.in "$@"

if grep -nE 'https?://|file://' -- *.txt; then
  echo "lock.sh: a lock file names a host or a path" >&2
  exit 1
fi
