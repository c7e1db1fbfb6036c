#!/bin/sh
# Reports what the container lacks before phonepilot starts: a folder that is not writable ends it;
# a missing GPU is only reported, because llama-server then runs the model on the CPU.
set -eu

say() { printf 'phonepilot: %s\n' "$*" >&2; }

data=${PHONEPILOT_SERVICE__DATA_DIR:-/data}
models=${MODELS_DIR:-/models}

if [ ! -d "$data" ] || [ ! -w "$data" ]; then
    say "user $(id -u) cannot write $data, where tasks and screenshots go."
    say "Mount a volume there, or make the folder theirs: sudo chown -R $(id -u) FOLDER"
    exit 78 # EX_CONFIG of sysexits.h
fi

if [ ! -d "$models" ]; then
    say "there is no folder $models: mount one there for models."
elif [ ! -w "$models" ]; then
    say "user $(id -u) cannot write $models: models in it can be used, none can be pulled."
fi
# phonepilot looks for pulled models in its data folder; they are large and have a separate volume.
if [ -d "$models" ] && [ ! -e "$data/models" ]; then
    ln -s "$models" "$data/models"
fi

if [ "${PHONEPILOT_ENGINE__KIND:-auto}" = llama-server ] && ! nvidia-smi -L >/dev/null 2>&1; then
    say "no GPU can be seen: the model will run on the CPU, which takes minutes a step."
    say "Install the NVIDIA Container Toolkit, and look at: nvidia-smi -L"
fi

exec phonepilot "$@"
