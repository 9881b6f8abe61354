#!/bin/sh
# Measures models on the GPU of a machine that need not have more than a Vulkan loader and driver: no compiler, no
# GStreamer, no Python. Leaves a folder with report.md, tables, JSON and pictures.
# usage: samples/bench-gpu.sh --pack OUT.tar.gz [--build FOLDER] [MODEL...]
#            where Shrike was built: packs the tool, the libraries that it needs, and the models (with their sidecars, and
#            MODEL.onnx beside MODEL.tflite, if there are such). Without models: those of $SHRIKE_KIT, if that is set
#        ./bench-gpu.sh [--device DEVICE] [--out FOLDER] [--seconds S] [--no-tune] [MODEL...]
#            there, where OUT.tar.gz was unpacked (or where Shrike was built): MODELs, or all that were packed and the
#            built-in one
#   --device   as in `shrike devices`; default: the best one
#   --seconds  most seconds per measurement; default 3
# Each model is verified against the C reference, measured with cold and warm caches, op by op and in batches, and, if this
# Shrike has a tuner, again with what that found. Where there is a Python (or $PYTHON) with torch, PyTorch runs layers of
# the same shapes; where it has onnxruntime, that runs MODEL.onnx.
# exit status: 0 all went well, 1 something failed (report.md says what), 2 wrong usage, 4 no Vulkan device
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
device='' out='' pack='' build='' seconds=3 tune=true mode='' failed=false
work=

say() {
    echo "bench-gpu: $*" >&2
}

die() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

usage() {
    sed -n '2,/^set -u/{/^# /s/^# //p;}' "$0"
}

while [ $# -gt 0 ]; do
    case $1 in
        --help) usage; exit 0 ;;
        --no-tune) tune=false ;;
        --device | --out | --pack | --build | --seconds)
            [ $# -gt 1 ] || die 2 "$1 needs a value"
            case $1 in
                --device) device=$2 ;;
                --out) out=$2 ;;
                --pack) pack=$2 ;;
                --build) build=$2 ;;
                --seconds) seconds=$2 ;;
            esac
            shift ;;
        -*) die 2 "there is no option $1; $0 --help" ;;
        *) break ;;
    esac
    shift
done

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# ---- packing ----

# usage: packed_libraries PROGRAM: what it loads, but for the C library and the Vulkan loader: name and file
packed_libraries() {
    ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' |
        grep -v -E '^(libc|libm|libdl|libpthread|librt|libvulkan)\.so'
}

pack_models() {
    if [ $# -eq 0 ] && [ -n "${SHRIKE_KIT-}" ]; then
        set -- "$SHRIKE_KIT"/models/*.tflite
    fi
    for model in "$@"; do
        [ -f "$model" ] || die 1 "there is no model $model"
        base=${model%.tflite}
        [ ! -e "$folder/models/$(basename "$model")" ] || die 1 "two models are called $(basename "$model")"
        cp "$model" "$folder/models/" || exit 1
        for beside in "$base.modelinfo" "$model.modelinfo" "$base.onnx"; do
            [ ! -f "$beside" ] || cp "$beside" "$folder/models/" || exit 1
        done
    done
}

# The C library of this machine, for machines whose own is older than it.
pack_glibc() {
    interpreter=$(ldd "$1" | awk '$1 ~ /^\/.*ld-linux/ { print $1 }')
    libc=$(ldd "$1" | awk '$1 == "libc.so.6" { print $3 }')
    [ -n "$interpreter" ] && [ -n "$libc" ] || return 0
    mkdir -p "$folder/lib/glibc"
    cp -L "$interpreter" "$folder/lib/glibc/ld.so"
    for name in libc.so.6 libm.so.6 libmvec.so.1 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2; do
        [ ! -e "$(dirname "$libc")/$name" ] || cp -L "$(dirname "$libc")/$name" "$folder/lib/glibc/"
    done
}

# For the charts' letters: the other machine may have no font.
pack_font() {
    font=$(fc-match -f '%{file}' 'DejaVu Sans' 2>/dev/null) || return 0
    [ -f "$font" ] || return 0
    mkdir -p "$folder/fonts"
    cp "$font" "$folder/fonts/"
}

pack() {
    build=${build:-$here/../build}
    program=$build/samples/cli/shrike
    [ -x "$program" ] || die 1 "there is no $program: build Shrike first, or name the folder with --build"
    folder=$work/shrike-bench
    mkdir -p "$folder/bin" "$folder/lib" "$folder/models" "$folder/bench-gpu"
    cp "$program" "$folder/bin/" || exit 1
    packed_libraries "$program" | while read -r name file; do
        cp -L "$file" "$folder/lib/$name" || exit 1
    done || exit 1
    if command -v strip >/dev/null; then
        strip "$folder/bin/shrike" "$folder"/lib/*.so* 2>/dev/null
    fi
    pack_glibc "$program"
    pack_font
    cp "$here/bench-gpu.sh" "$folder/" && cp "$here"/bench-gpu/*.py "$folder/bench-gpu/" || exit 1
    pack_models "$@"
    tar -C "$work" -czf "$pack" shrike-bench || exit 1
    say "packed $(du -h "$pack" | cut -f1) into $pack; on the other machine:"
    say "    tar xzf $(basename "$pack") && shrike-bench/bench-gpu.sh"
}

# ---- running the tool ----

# In the ways that `choose` tries.
shrike() {
    rest=${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    case $mode in
        built) "$build/samples/cli/shrike" "$@" ;;
        mixed) LD_LIBRARY_PATH=$work/missing$rest "$here/bin/shrike" "$@" ;;
        packed) LD_LIBRARY_PATH=$here/lib$rest "$here/bin/shrike" "$@" ;;
        glibc) "$here/lib/glibc/ld.so" --library-path "$here/lib/glibc:$here/lib$rest" "$here/bin/shrike" "$@" ;;
    esac
}

# Links to those of the packed libraries that this machine has not.
find_missing() {
    mkdir -p "$work/missing"
    while :; do
        added=false
        for name in $(LD_LIBRARY_PATH=$work/missing${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} LD_TRACE_LOADED_OBJECTS=1 \
            "$here/bin/shrike" 2>/dev/null | awk '/not found/ { print $1 }'); do
            if [ -e "$here/lib/$name" ] && [ ! -e "$work/missing/$name" ]; then
                ln -s "$here/lib/$name" "$work/missing/$name"
                added=true
            fi
        done
        $added || return 0
    done
}

# This machine's own libraries are what its Vulkan driver was made for; the packed ones are what the tool was made for.
choose() {
    if [ ! -x "$here/bin/shrike" ]; then
        build=${build:-$here/../build}
        [ -x "$build/samples/cli/shrike" ] || die 1 "there is neither $here/bin/shrike nor $build/samples/cli/shrike"
        modes=built
    else
        find_missing
        modes='mixed packed glibc'
    fi
    starts=false
    for mode in $modes; do
        shrike devices ${device:+--device "$device"} >"$work/devices" 2>"$work/error"
        case $? in
            0) return 0 ;;
            4) starts=true ;;
        esac
        sed 's/^/    /' "$work/error" >>"$work/errors"
    done
    say "the tool does not run here, or finds no device:"
    sort -u "$work/errors" >&2
    ! grep -q 'libvulkan' "$work/errors" ||
        say "install the Vulkan loader (Debian, Ubuntu: libvulkan1) and the GPU's driver"
    ! $starts || exit 4
    exit 1
}

set_up_fonts() {
    [ -d "$here/fonts" ] || return 0
    printf '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig><dir>%s</dir><dir>%s</dir>%s</fontconfig>\n' \
        "$here/fonts" /usr/share/fonts "<cachedir>$work/fonts</cachedir>" >"$work/fonts.conf"
    export FONTCONFIG_FILE="$work/fonts.conf"
}

# ---- measuring ----

# usage: step NAME COMMAND...: its output is NAME.txt in the model's folder; a failure is told, and the rest goes on
step() {
    name=$1
    shift
    say "$key: $name"
    "$@" >"$dir/$name.txt" 2>"$dir/$name.log"
    code=$?
    [ -s "$dir/$name.log" ] || rm -f "$dir/$name.log"
    if [ "$code" -ne 0 ]; then
        failed=true
        say "$key: $name failed ($code): $(tail -n 1 "$dir/$name.log" 2>/dev/null)"
        [ -s "$dir/$name.txt" ] || rm -f "$dir/$name.txt"
    fi
    return "$code"
}

# usage: number FILE MEMBER...: the number behind the last MEMBER, each of which is looked for behind the one before
number() {
    file=$1
    shift
    [ -f "$file" ] || return 0
    awk -v path="$*" 'BEGIN { count = split(path, names, " "); next_one = 1 }
        index($0, "\"" names[next_one] "\" :") {
            if (next_one == count) { gsub(/[^0-9.eE+-]/, "", $NF); print $NF; exit }
            next_one++
        }' "$file"
}

# usage: scaled VALUE DIVISOR FORMAT: nothing where there is no value
scaled() {
    [ -z "$1" ] || awk -v v="$1" -v d="$2" -v f="$3" 'BEGIN { printf f, v / d }'
}

# usage: python MODULE: whether there is one that has it
python_has() {
    command -v "${PYTHON:-python3}" >/dev/null && "${PYTHON:-python3}" -c "import $1" 2>/dev/null
}

bench() {
    shrike bench "$model" --device "$uuid" --cache-dir "$out/cache" --seconds "$seconds" "$@"
}

compare_torch() {
    if ! python_has torch; then
        say "$key: no Python with torch: no PyTorch numbers"
        return
    fi
    step torch "${PYTHON:-python3}" "$here/bench-gpu/torch_layers.py" "$dir/inspect.json" --save "$dir/torch.json"
}

compare_onnx() {
    onnx=${model%.tflite}.onnx
    if ! python_has onnxruntime; then
        say "$key: no Python with onnxruntime: no onnxruntime numbers"
    elif [ ! -f "$onnx" ]; then
        say "$key: no $onnx: no onnxruntime numbers"
    else
        step onnxruntime "${PYTHON:-python3}" "$here/bench-gpu/onnx_graph.py" "$onnx" --save "$dir/onnxruntime.json"
    fi
}

measure() {
    shrike inspect "$model" --json >"$dir/inspect.json" 2>"$dir/inspect.log"
    [ -s "$dir/inspect.log" ] || rm -f "$dir/inspect.log"
    step memory shrike inspect "$model" --memory --plot "$dir/memory.png" || return
    step cold bench --save "$dir/cold.json" --frames 3
    step verify shrike verify "$model" --device "$uuid" --cache-dir "$out/cache" --runs 2
    step bench bench --save "$dir/bench.json" --roofline "$dir/roofline.png"
    step batch bench --batch --save "$dir/batch.json" --plot "$dir/batch.png"
    if $tune; then
        step tune shrike tune "$model" --device "$uuid" --cache-dir "$out/cache"
        step tuned bench --save "$dir/tuned.json" --roofline "$dir/roofline-tuned.png" --compare "$dir/bench.json"
        step tuned-batch bench --batch --save "$dir/tuned-batch.json" --plot "$dir/tuned-batch.png"
        step tuned-verify shrike verify "$model" --device "$uuid" --cache-dir "$out/cache" --runs 2
    fi
    compare_torch
    compare_onnx
}

# ---- the report ----

verdict() {
    grep -q '^equal' "$1" 2>/dev/null && echo equal && return
    [ -f "$1" ] && echo DIFFERENT || echo failed
}

summary_row() {
    result=$dir/bench.json batch=$dir/batch.json verified=$dir/verify.txt
    if $tune && [ -f "$dir/tuned.json" ]; then
        result=$dir/tuned.json batch=$dir/tuned-batch.json verified=$dir/tuned-verify.txt
    fi
    before=$(scaled "$(number "$dir/bench.json" steady inference median_ns)" 1e6 %.3f)
    now=$(scaled "$(number "$result" steady inference median_ns)" 1e6 %.3f)
    $tune || before=
    roof=$(awk -v roof="$(number "$result" ops total roof_ns)" -v ns="$(number "$result" ops total ns)" \
        'BEGIN { if (roof != "" && ns > 0) printf "%.0f %%", 100 * roof / ns }')
    fastest=$(number "$batch" fastest_batch)
    echo "| $key | $(scaled "$(number "$dir/inspect.json" totals macs)" 1e6 %.1f) | $before | $now | $roof \
| $(scaled "$(number "$result" steady frames_per_second)" 1 %.1f) \
| $(best_rate "$batch") ($fastest) \
| $(scaled "$(number "$dir/cold.json" setup load_to_first_result_ns)" 1e6 %.0f) \
| $(scaled "$(number "$dir/bench.json" setup load_to_first_result_ns)" 1e6 %.0f) \
| $(verdict "$verified") \
| $(scaled "$(number "$dir/torch.json" median_ms)" 1 %.3f) | $(scaled "$(number "$dir/onnxruntime.json" median_ms)" 1 %.3f) |"
}

# Frames per second of the fastest batch.
best_rate() {
    [ -f "$1" ] || return 0
    awk '/"frames_per_second"/ { gsub(/,/, ""); if ($NF > most) most = $NF } END { if (most) printf "%.1f", most }' "$1"
}

quote() {
    [ -s "$1" ] || return 0
    printf '\n```\n'
    cat "$1"
    printf '```\n'
}

section() {
    printf '\n## %s\n' "$key"
    for name in verify bench batch tune tuned tuned-batch tuned-verify torch onnxruntime memory; do
        for file in "$dir/$name.log" "$dir/$name.txt"; do
            [ -s "$file" ] || continue
            printf '\n### %s%s\n' "$name" "$([ "${file%.log}" = "$file" ] || echo ': messages')"
            quote "$file"
        done
    done
    for picture in "$dir"/*.png; do
        [ ! -e "$picture" ] || printf '\n![%s](%s)\n' "$(basename "$picture" .png)" "$key/$(basename "$picture")"
    done
}

head_of_report() {
    printf '# Shrike on %s\n\n' "$(awk '$1 == "*"' "$work/devices" | sed 's/^[* 0-9]*//; s/  .*//')"
    printf '%s, %s, %s; %s seconds at most per measurement, medians.\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" \
        "$(shrike --version)" "$(uname -srm)" "$seconds"
    quote "$work/devices"
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,power.limit --format=csv \
            >"$work/nvidia" 2>/dev/null && quote "$work/nvidia"
    fi
    printf '\n## In short\n\nTimes are those of one frame on the device. Roof: the share that the measured ceilings of the device would take.\n'
    $tune || printf 'This run had no tuner.\n'
    printf '\n| model | MMAC | before tuning, ms | inference, ms | roof | frames/s, two in flight | frames/s, best batch | cold start, ms | warm start, ms | bytes | PyTorch fp16, ms | onnxruntime, ms |\n'
    printf '|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|\n'
}

# ---- main ----

if [ -n "$pack" ]; then
    pack "$@"
    exit 0
fi

choose
set_up_fonts
uuid=$(shrike devices ${device:+--device "$device"} --json | awk '/"uuid"/ { gsub(/[",]/, ""); uuid = $NF } /"chosen" : true/ { chosen = 1 } /}/ { if (chosen) { print uuid; exit } chosen = 0 }')
[ -n "$uuid" ] || die 1 "shrike devices --json names no device"
if $tune && ! shrike --help | grep -q '^  tune '; then
    say "this Shrike has no tuner"
    tune=false
fi
out=${out:-bench-$(uname -n)-$(date -u +%Y%m%d-%H%M%S)}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd) || exit 1
[ -z "$(ls -A "$out")" ] || die 1 "$out is not empty"
mkdir "$out/cache"

if [ $# -eq 0 ]; then
    set -- default
    for model in "$here"/models/*.tflite; do
        [ ! -e "$model" ] || [ ! -x "$here/bin/shrike" ] || set -- "$@" "$model"
    done
fi
head_of_report >"$out/report.md"
: >"$work/sections"
for model in "$@"; do
    key=$(basename "$model" .tflite | tr -c 'A-Za-z0-9._\n-' _)
    while [ -e "$out/$key" ]; do
        key=${key}_
    done
    dir=$out/$key
    mkdir "$dir"
    measure
    summary_row >>"$out/report.md"
    section >>"$work/sections"
done
cat "$work/sections" >>"$out/report.md"
rm -rf "$out/cache"
say "$out/report.md"
if $failed; then
    exit 1
fi
