#!/bin/sh
# Installs what building and running Shrike needs and is not there yet (Debian and its derivatives).
# usage: samples/setup.sh [--tests | --window | --analytics | --vulkan]
#   --tests     also what tests/run.sh needs, --analytics and --vulkan included
#   --window    also what shows video on a screen
#   --analytics also what GstAnalytics metadata needs, where GStreamer is 1.24 or newer (Debian 13); Debian's package
#               brings OpenCV with it, 1 GB
#   --vulkan    also what reading the Vulkan memory of GStreamer's elements needs, and these elements; the same package
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
analytics_packages="libgstreamer-plugins-bad1.0-dev gstreamer1.0-plugins-bad"
# the last four: what its gstreamer-vulkan-1.0.pc asks for and the package does not bring
vulkan_packages="libgstreamer-plugins-bad1.0-dev gstreamer1.0-plugins-bad
    libxcb1-dev libxkbcommon-dev libxkbcommon-x11-dev libwayland-dev"
analytics=false

case "${1-}" in
    '') ;;
    --tests) packages="$packages $test_packages $vulkan_packages" analytics=true ;;
    --window) packages="$packages $window_packages" ;;
    --analytics) analytics=true ;;
    --vulkan) packages="$packages $vulkan_packages" ;;
    *) echo "usage: $0 [--tests | --window | --analytics | --vulkan]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian; install what these packages hold with your own package manager:" >&2
    echo "$packages" >&2
    ! $analytics || echo "    $analytics_packages" >&2
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi
export DEBIAN_FRONTEND=noninteractive

# usage: install_missing PACKAGE...
install_missing() {
    missing=
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
        echo "setup: missing:$missing" >&2
        echo "setup: run this as root, or install sudo, or install them yourself" >&2
        exit 1
    fi
    everything=false
    echo "setup: installing$missing"
    # A fresh container has no package lists; a machine in use need not wait for new ones.
    # shellcheck disable=SC2086
    if ! $as_root apt-get install -y -q --no-install-recommends $missing; then
        echo "setup: trying again with new package lists"
        $as_root apt-get update -q
        $as_root apt-get install -y -q --no-install-recommends $missing
    fi
}

everything=true
# shellcheck disable=SC2086
install_missing $packages
version=$(dpkg-query -W -f '${Version}' libgstreamer1.0-dev)
if $analytics && dpkg --compare-versions "$version" ge 1.24; then
    # shellcheck disable=SC2086
    install_missing $analytics_packages
elif [ "${1-}" = --analytics ]; then
    echo "setup: GStreamer $version has no GstAnalytics: it came with 1.24"
fi
if $everything; then
    echo "setup: everything is installed"
fi
