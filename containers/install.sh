#!/bin/sh
# Install what requirements.lock names into the Python of a container: sh install.sh cuda, or sh install.sh cpu.
set -eu
lock=/opt/brain2image/requirements.lock
case "$1" in
cuda)
    pip install --no-cache-dir --requirement "$lock"
    ;;
cpu)
    # the same versions; what CUDA needs is left out, and PyTorch comes from its own list of builds for CPUs
    grep --invert-match --extended-regexp '^(nvidia-|cuda-|triton==)' "$lock" > "$lock.cpu"
    pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu --requirement "$lock.cpu"
    ;;
*)
    echo "install.sh: expected cuda or cpu, got $1" >&2
    exit 1
    ;;
esac
