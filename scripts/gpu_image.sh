#!/usr/bin/env bash
# Builds Dockerfile.gpu from a context of just what it needs. Run by `make gpu-image`.
#
# BASE         the image to build on (default: the PyTorch image that Dockerfile.gpu names)
# CA           a file with certificates that pip is to trust (a package index of your own, a proxy that inspects TLS)
# WHEELS       a folder of packages that pip looks in as well; with PIP_ARGS=--no-index nowhere else
# CONSTRAINTS  a file of versions to keep to, such as an earlier image's /opt/code-optimise/packages.txt
# PIP_ARGS     further words for `pip install`
# EXTRAS       extras of pyproject.toml to install as well, separated by commas
# GPU_IMAGE    the image's name (default: code-optimise-gpu)
#
# `scripts/gpu_image.sh content` only prints a checksum of our own files, which becomes the image's label.
set -euo pipefail

fail() {
    printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
    exit 2
}

repository="$(cd "$(dirname "$0")/.." && pwd)"
sources=(harness sandbox training recipes LICENSE)
content="$(cd "$repository" && find "${sources[@]}" pyproject.toml Dockerfile.gpu -type f ! -path '*/__pycache__/*' -print0 |
    LC_ALL=C sort --zero-terminated | xargs --null cksum | cksum | cut -d ' ' -f 1)"
if [ "${1:-}" = content ]; then
    echo "$content"
    exit
fi

context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
mkdir "$context/inputs" "$context/source"

# Links, which tar follows: nothing is copied twice.
ln -s "$repository/Dockerfile.gpu" "$repository/pyproject.toml" "$repository/scripts/gpu_requirements.py" "$context"
for name in "${sources[@]}"; do ln -s "$repository/$name" "$context/source"; done
link_input() { # VARIABLE TEST NAME: the file or folder that the variable names, as inputs/NAME
    local path="${!1:-}"
    if [ -z "$path" ]; then return; fi
    test "$2" "$path" || fail "$1=$path is not there" "correct it, or leave $1 out"
    ln -s "$(cd "$(dirname "$path")" && pwd)/$(basename "$path")" "$context/inputs/$3"
}
link_input CA -f ca.crt
link_input WHEELS -d wheels
link_input CONSTRAINTS -f constraints.txt

arguments=(--network host --label "code-optimise.content=$content" --tag "${GPU_IMAGE:-code-optimise-gpu}" --file Dockerfile.gpu)
for name in BASE PIP_ARGS EXTRAS; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name=${!name}"); fi
done
# By name: an address may hold a password. Docker keeps these out of the image's history.
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name"); fi
done
command -v docker >/dev/null || fail "docker is not installed" "install it: https://docs.docker.com/engine/install/"
tar --create --file - --dereference --exclude __pycache__ --directory "$context" . | docker build "${arguments[@]}" -
