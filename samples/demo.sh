#!/bin/bash
# Shows Shrike at work: installs what is missing, builds, runs an object detector on a video, and leaves
# pictures, a video and tables behind. Works as root or with sudo, without a GPU and without a display.
set -euo pipefail

usage() {
    cat <<END
usage: samples/demo.sh [--window] [--frames N] [MODEL [VIDEO [LABELS]]]

MODEL   a .tflite file, or the word default for the built-in model (the default)
VIDEO   any file that GStreamer decodes; without it a video is generated
LABELS  the model's class names, one per line

--window    show the video live in a window; nothing is written
--frames N  stop after about N frames (default 120, with --window: never)

The results go to build/demo.
END
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

say() {
    printf '\n== %s\n' "$*"
}

window=false
frames=
model=default
video=
labels=
while [ $# -gt 0 ]; do
    case $1 in
        --window) window=true ;;
        --frames) [ $# -gt 1 ] || fail "--frames needs a number"; frames=$2; shift ;;
        -h|--help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) break ;;
    esac
    shift
done
[ $# -le 3 ] || { usage >&2; exit 2; }
if $window; then frames=${frames:--1}; else frames=${frames:-120}; fi
case $frames in -1) ;; ''|*[!0-9]*) fail "--frames $frames is not a number" ;; esac

# The script works in the project's folder: file names from elsewhere must be complete.
absolute() {
    [ -r "$1" ] || fail "$1: no such file"
    realpath -- "$1"
}
[ $# -lt 1 ] || [ "$1" = default ] || model=$(absolute "$1")
[ $# -lt 2 ] || video=$(absolute "$2")
[ $# -lt 3 ] || labels=$(absolute "$3")
if $window && [ -z "${DISPLAY-}${WAYLAND_DISPLAY-}" ]; then
    fail "--window needs a display: neither DISPLAY nor WAYLAND_DISPLAY is set"
fi

cd "$(dirname "$0")/.."
out=$PWD/build/demo

say "1/5 Installing what is missing"
if $window; then samples/setup.sh --window; else samples/setup.sh; fi

say "2/5 Building in build/"
[ -f build/build.ninja ] || meson setup build -Dgst=enabled -Dsamples=enabled -Dtests=disabled
ninja -C build
export GST_PLUGIN_PATH="$PWD/build/gst_plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"
build/samples/cli/shrike devices || fail "no usable Vulkan device; mesa-vulkan-drivers has one for any CPU"

if [ -z "$video" ]; then
    video=$PWD/build/scene.y4m
    say "3/5 Generating a video: $video"
    if [ -s "$video" ] && [ "$video" -nt build/samples/scenes/shrike-scenes ]; then
        echo "it is there from an earlier run"
    else
        build/samples/scenes/shrike-scenes --video --seed 12 --count 300 --size 640x480 --y4m "$video.part"
        mv "$video.part" "$video"
    fi
else
    say "3/5 Using $video"
fi

# Positional parameters keep names with spaces in one piece.
set -- shrikedetect
[ "$model" = default ] || set -- "$@" "model-file=$model"
[ -z "$labels" ] || set -- "$@" "label-file=$labels"

launch() {
    echo "GST_PLUGIN_PATH=$PWD/build/gst_plugin gst-launch-1.0 $*"
    gst-launch-1.0 -q "$@" || fail "the pipeline failed; the message above says why"
}

if $window; then
    say "4/5 Showing the video; close the window or press Ctrl-C to stop"
    launch filesrc "location=$video" ! decodebin ! videoconvert ! identity "eos-after=$frames" ! "$@" \
        ! shrikeoverlay ! videoconvert ! autovideosink
    exit 0
fi

rm -rf "$out"
mkdir -p "$out"
say "4/5 Running the pipeline on about $frames frames: boxes into a video and into pictures"
launch filesrc "location=$video" ! decodebin ! videoconvert ! identity "eos-after=$frames" ! "$@" \
    ! progressreport update-freq=2 ! shrikeoverlay ! tee name=t \
    t. ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=3000000 ! webmmux \
    ! filesink "location=$out/detections.webm" \
    t. ! queue ! videorate drop-only=true ! video/x-raw,framerate=1/1 ! videoconvert ! pngenc \
    ! multifilesink "location=$out/frame-%02d.png"

say "5/5 Reading detections (of every 15th frame) and stage latencies off the buffers in an application"
build/samples/shrike-appsink --every 15 filesrc "location=$video" ! decodebin ! videoconvert \
    ! identity "eos-after=$frames" ! "$@" ! appsink name=out | tee "$out/report.txt" \
    || fail "the application failed; the message above says why"

say "Done"
ls -1 "$out"/*
echo "The video plays in any browser, in VLC, mpv or totem: $out/detections.webm"
