#!/usr/bin/env bash
# Runs `code-optimise train|sample OPTIONS` in the training image: scripts/gpu_run.sh train --optim dpo --root runs
# The container sees the run folder, what the options name by path, and nothing else. `make train GPU=1 …` calls this.
#
# GPU          1 (default): with GPUs; cpu: without any
# GPU_DEVICES  which ones: 0,1 (default: CUDA_VISIBLE_DEVICES, else all)
# GPUS         how many; more than one train through accelerate, as all do that are there
# ACCELERATE   accelerate's settings for that (default: recipes/accelerate/ddp.yaml)
# GPU_NETWORK  none, bridge or host (default: bridge where a Hub id is named and HF_HUB_OFFLINE is not set, else none)
# GPU_MEMORY   main memory that it may take (default: 90% of the machine's); GPU_SHM: shared memory (8g)
# GPU_CPUS     how many cores' time it may take (default: all)
# GPU_ARGS     words for `docker run` in place of --gpus, such as "--device nvidia.com/gpu=all"
# GPU_IMAGE    the image (default: code-optimise-gpu)
# GPU_PRINT    1: only print the docker command
set -euo pipefail

IMAGE="${GPU_IMAGE:-code-optimise-gpu}"
IN_IMAGE=/opt/code-optimise
SANDBOX="what judges or times needs the sandbox: run it on the host"
INSTALL=https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html

fail() {
    printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
    exit 2
}

on() {
    case "${1:-}" in '' | 0 | no | false) return 1 ;; esac
}

absolute() { # the path as docker wants it, links and names kept
    case "$1" in
    /*) printf %s "$1" ;;
    *) printf %s "$PWD/$1" ;;
    esac
}

# --- what the options name --------------------------------------------------------------------------------------

mounts=()
environment=()
shared=$'\n'
hub=

share() { # PATH [readonly]: at the same place in the container; made where it is to be written to
    local place quote='"'
    place="$(realpath --canonicalize-missing --no-symlinks "$1")"
    case "$place/" in
    // | /opt/ | /run/ | /tmp/ | /var/ | /var/run/ | "$IN_IMAGE/" | "$IN_IMAGE"/venv/* | "$IN_IMAGE"/source/* | \
        /bin/* | /boot/* | /dev/* | /etc/* | /lib/* | /lib64/* | /proc/* | /sbin/* | /sys/* | /usr/*)
        fail "$place would hide a folder of the container's own" "use a folder elsewhere"
        ;;
    esac
    case "$shared" in *$'\n'"$place"$'\n'*) return ;; esac
    shared+="$place"$'\n'
    if [ $# = 1 ]; then mkdir -p "$place"; fi
    place="${place//$quote/$quote$quote}"
    mounts+=(--mount "type=bind,${quote}source=$place${quote},${quote}target=$place${quote}${2:+,$2}")
}

model() { # a --model_path: a folder, a Hub id, or a built-in name
    local base
    if [ -d "$1" ]; then
        share "$1" readonly
        # A snapshot in the Hub's cache is links to the blobs beside it.
        if [ -d "$1/../../blobs" ]; then share "$1/../.." readonly; fi
        if [ -f "$1/adapter_config.json" ]; then # and an adapter stands on another model
            base="$(sed -n 's/.*"base_model_name_or_path": *"\(.*\)".*/\1/p' "$1/adapter_config.json")"
            if [ -n "$base" ] && [ "$base" != "$1" ]; then model "$base"; fi
        fi
    else
        hub_id "$1"
    fi
}

problems() { # a --data_path
    if [ -f "$1" ] || [ -d "$1" ]; then share "$1" readonly; fi
    if [ "$command" = train ]; then return; fi # which goes by the data's name only
    if [ "$1" = mbpp ] && [ -n "${CODE_OPTIMISE_MBPP:-}" ]; then
        if [ -d "$CODE_OPTIMISE_MBPP" ]; then share "$CODE_OPTIMISE_MBPP" readonly; fi
        environment+=(--env "CODE_OPTIMISE_MBPP=$(absolute "$CODE_OPTIMISE_MBPP")")
    elif [ "$1" = mbpp ]; then
        hub=1
    elif [ ! -e "$1" ]; then
        hub_id "$1"
    fi
}

hub_id() {
    if [[ "$1" =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$ ]]; then hub=1; fi
}

command="${1:-}"
case "$command" in
train | sample) shift ;;
*) fail "'$command' is not run in the image" "train and sample are; $SANDBOX" ;;
esac

words=()
root=runs
model_path=smollm2-135m
data_path=
config=
while [ $# -gt 0 ]; do
    word="$1"
    shift
    if [[ "$word" == --*=* ]]; then
        set -- "${word#*=}" "$@"
        word="${word%%=*}"
    fi
    words+=("$word")
    case "${word//-/_}" in
    __root | __model_path | __data_path | __config | __optim)
        if [ $# = 0 ]; then fail "$word has no value" "give one"; fi
        value="${1/#\~\//$HOME/}"
        shift
        words+=("$value")
        case "${word//-/_}" in
        __root) root="$value" ;;
        __model_path) model_path="$value" ;;
        __data_path) data_path="$value" ;;
        __config) config="$value" ;;
        __optim)
            case "$value" in rloo | grpo) fail "$value judges while it trains" "$SANDBOX" ;; esac
            ;;
        esac
        ;;
    esac
done
share "$root"
model "$model_path"
problems "$data_path"
for file in "$config" "${ACCELERATE:-}"; do
    if [ -f "$file" ]; then share "$file" readonly; fi
done
if [ ! -d "$model_path" ] && [[ "$model_path" != */* ]]; then # built-in: converted once, and kept
    cache="$(absolute "${XDG_CACHE_HOME:-$HOME/.cache}")"
    share "$cache/code-optimise"
    environment+=(--env "XDG_CACHE_HOME=$cache")
fi
if [ -n "$hub" ] || [ -n "${HF_HOME:-}" ]; then
    hf_home="$(absolute "${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}")"
    share "$hf_home"
    environment+=(--env "HF_HOME=$hf_home")
fi

# --- what the container may do ----------------------------------------------------------------------------------

host=()
network="${GPU_NETWORK:-}"
if [ -z "$network" ]; then
    network=none
    if [ -n "$hub" ] && ! on "${HF_HUB_OFFLINE:-}"; then network=bridge; fi
fi
if [ "$network" != none ]; then
    # By name, so that no secret is on a command line. The certificates are those that the Hub's clients go by here.
    for name in HF_TOKEN HF_ENDPOINT WANDB_API_KEY HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
        if [ -n "${!name:-}" ]; then environment+=(--env "$name"); fi
    done
    for name in SSL_CERT_FILE REQUESTS_CA_BUNDLE; do
        if [ -f "${!name:-}" ]; then
            mounts+=(--mount "type=bind,source=$(realpath "${!name}"),target=/run/certificates/$name,readonly")
            environment+=(--env "$name=/run/certificates/$name")
        fi
    done
else
    environment+=(--env HF_HUB_OFFLINE=1) # or its clients ask again and again
    host=(--hostname localhost)           # processes that train together look their host's name up
fi

memory="${GPU_MEMORY:-$(awk '/^MemTotal:/ { printf "%.0fk", $2 * 0.9 }' /proc/meminfo)}"
# Memory-mapped code needs exec in /tmp: what torch compiles lies there.
# shellcheck disable=SC2054  # the commas are docker's
box=(docker run --rm --init --pull never
    --read-only --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777
    --cap-drop ALL --security-opt no-new-privileges
    --network "$network" "${host[@]}" --pids-limit 8192 --memory "$memory" --shm-size "${GPU_SHM:-8g}"
    ${GPU_CPUS:+--cpus "$GPU_CPUS"})

# In a rootless engine the caller is root inside, and another id would be somebody else's outside.
case "$(docker info --format '{{.SecurityOptions}}' 2>/dev/null || true)" in
*name=rootless*) box+=(--user 0:0) ;;
*) box+=(--user "$(id -u):$(id -g)") ;;
esac

devices="${GPU_DEVICES:-${CUDA_VISIBLE_DEVICES:-}}"
count="${GPUS:-}" # of processes to train with; empty: as accelerate's settings say
if [[ "$count" =~ [^0-9] ]]; then fail "GPUS=$count is not a number" "for example GPUS=2"; fi
case "${GPU:-1}" in
cpu)
    # An engine whose standard runtime is NVIDIA's would show them all.
    box+=(--env NVIDIA_VISIBLE_DEVICES=void)
    ;;
1 | yes | true | all)
    if [[ "$devices" =~ [^A-Za-z0-9,:/_.-] ]]; then fail "GPU_DEVICES=$devices is no list of GPUs" "for example 0,1"; fi
    if [ -n "${GPU_ARGS:-}" ]; then
        read -r -a gpus <<<"$GPU_ARGS"
    elif [ -n "$devices" ]; then
        gpus=(--gpus "\"device=$devices\"")
    else
        gpus=(--gpus "${count:-all}")
    fi
    box+=("${gpus[@]}")
    if [ -n "$devices" ] && [ -z "$count" ]; then
        commas="${devices//[^,]/}"
        count=$((${#commas} + 1))
    fi
    ;;
*) fail "GPU=$GPU is not known" "GPU=1, or GPU=cpu for the same image without GPUs" ;;
esac

check_engine() {
    local content
    if content="$(docker image inspect --format '{{index .Config.Labels "code-optimise.content"}}' "$IMAGE" 2>/dev/null)"; then
        if [ "$content" != "$("$(dirname "$0")/gpu_image.sh" content)" ]; then
            printf 'warning: the image %s was built from other sources than these; make gpu-image\n' "$IMAGE" >&2
        fi
        return
    fi
    docker version >/dev/null 2>&1 || fail "no Docker engine answers" "start it, or set DOCKER_HOST to where it is"
    fail "there is no image $IMAGE" "make gpu-image"
}

count_gpus() { # those that torch can use in the image
    local answer
    answer="$("${box[@]}" --entrypoint python "$IMAGE" -c 'import torch; print(torch.cuda.device_count())' 2>&1)" ||
        fail "the engine gives no GPU to a container: $(tail -n 1 <<<"$answer")" "install NVIDIA's toolkit: $INSTALL"
    answer="$(tail -n 1 <<<"$answer")"
    if [ "$answer" = 0 ]; then
        fail "torch sees no GPU in the container" "update the driver (nvidia-smi says its version), or check GPU_DEVICES"
    fi
    printf %s "$answer"
}

# What is only printed needs no engine, unless it depends on how many GPUs there are.
if ! on "${GPU_PRINT:-}" || { [ "${GPU:-1}" != cpu ] && [ -z "$count" ]; }; then
    check_engine
    if [ "${GPU:-1}" != cpu ]; then
        found="$(count_gpus)"
        count="${count:-$found}"
        if [ "$found" -lt "$count" ]; then fail "torch sees $found GPUs in the container, not $count" "ask for fewer"; fi
    fi
fi

launch=()
entry=code-optimise
if [ "$command" = train ] && { [ "${count:-1}" -gt 1 ] || [ -n "${ACCELERATE:-}" ]; }; then
    entry=accelerate
    launch=(launch --config_file "${ACCELERATE:-$IN_IMAGE/source/recipes/accelerate/ddp.yaml}"
        ${count:+--num_processes "$count"} --module harness.cli.app)
fi
if [ -t 0 ] && [ -t 1 ]; then box+=(--interactive --tty); fi
box+=("${environment[@]}" "${mounts[@]}" --workdir "$PWD" --entrypoint "$entry" "$IMAGE" "${launch[@]}" "$command" "${words[@]}")
if on "${GPU_PRINT:-}"; then
    printf '%q ' "${box[@]}"
    echo
else
    exec "${box[@]}"
fi
