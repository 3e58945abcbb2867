#!/usr/bin/env bash
# From a fresh machine to answers: installs what is missing, builds the release preset into build/release,
# and asks the bundled tiny model about itself, about a picture and about a recording.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh test  # the same build folder serves scripts/test.sh
scripts/configure.sh
cmake --build --preset release --target lapidary_cli >&2

lapidary=build/release/bin/lapidary
tiny=models/tiny
ask() {  # ask WHAT_IS_SHOWN OPTIONS...
    printf '\n> %s\n' "$1"
    shift
    "$lapidary" run "$tiny" --temp 0 "$@"
}
ask 'Who are you?' -p 'Who are you?'
ask "What do you see? ($tiny/samples/image_2.png)" -p 'What do you see?' --image "$tiny/samples/image_2.png"
ask "Transcribe the speech. ($tiny/samples/speech_3.wav)" -p 'Transcribe the speech.' --audio "$tiny/samples/speech_3.wav"
printf '\nWith the 12B model: %s run gemma-4-12b-it-q4_0.gguf -p "Hello!"\n' "$lapidary"
