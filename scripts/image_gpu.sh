#!/bin/sh
# Builds Dockerfile.gpu from a context of just what it needs. CA: a file with a certificate authority of your own.
# Arguments go to `docker build`.
set -eu
cd "$(dirname "$0")/.."
context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
cp -R pyproject.toml README.md LICENSE sandbox harness training recipes "$context"
if [ -n "${CA:-}" ]; then cp "$CA" "$context/ca-bundle.crt"; fi
docker build --network host --tag code-optimise-gpu --file Dockerfile.gpu "$@" "$context"
