#!/bin/sh
# Installs what building and running Shrike needs and is not there yet (Debian and its derivatives).
# usage: samples/setup.sh [--tests | --window]
#   --tests     also what tests/run.sh needs
#   --window    also what shows video on a screen
set -eu

packages="
    gcc libc6-dev meson ninja-build pkg-config python3
    glslang-tools libvulkan-dev mesa-vulkan-drivers
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libcairo2-dev libpango1.0-dev fonts-dejavu-core
    libjson-glib-dev libpng-dev libjpeg-dev
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav
    python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0"
test_packages="check vulkan-validationlayers"
window_packages="gstreamer1.0-x"

case "${1-}" in
    '') ;;
    --tests) packages="$packages $test_packages" ;;
    --window) packages="$packages $window_packages" ;;
    *) echo "usage: $0 [--tests | --window]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian; install what these packages hold with your own package manager:" >&2
    echo "$packages" >&2
    exit 0
fi

missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "setup: everything is installed"
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: missing:$missing" >&2
        echo "setup: run this as root, or install sudo, or install them yourself" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# A fresh container has no package lists; a machine in use need not wait for new ones.
# shellcheck disable=SC2086
if ! $as_root apt-get install -y -q --no-install-recommends $missing; then
    echo "setup: trying again with new package lists"
    $as_root apt-get update -q
    $as_root apt-get install -y -q --no-install-recommends $missing
fi
