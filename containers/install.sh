#!/bin/sh
# Install what requirements.lock names into the Python of a container: sh install.sh cuda, or sh install.sh cpu
# with PyTorch's list of builds for CPUs in PIP_EXTRA_INDEX_URL, which pip reads.
set -eu
lock=/opt/brain2image/requirements.lock
case "$1" in
cuda)
    pip install --no-cache-dir --requirement "$lock"
    ;;
cpu)
    if [ -z "${PIP_EXTRA_INDEX_URL:-}" ]; then
        echo "install.sh: expected PyTorch's list of builds for CPUs in PIP_EXTRA_INDEX_URL, got none" >&2
        exit 1
    fi
    # the same versions; what CUDA needs is left out
    grep --invert-match --extended-regexp '^(nvidia-|cuda-|triton==)' "$lock" > "$lock.cpu"
    pip install --no-cache-dir --requirement "$lock.cpu"
    ;;
*)
    echo "install.sh: expected cuda or cpu, got $1" >&2
    exit 1
    ;;
esac
