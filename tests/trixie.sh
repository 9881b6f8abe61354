#!/bin/sh
# Runs tests/run.sh on Debian 13 (trixie: GStreamer 1.26, Mesa 25), in a chroot that is made once and kept.
# usage: tests/trixie.sh [--fast] [--werror] [ARGUMENT...]     as root; as tests/run.sh, which calls this
#   SHRIKE_TRIXIE  folder of the chroot, about 2.7 GB (default: build-trixie/root). It is never upgraded: delete it
#                  to get newer packages
#   SHRIKE_MIRROR  Debian mirror (default: the one that apt uses here)
#   SHRIKE_KIT     test data (default: ../shared/kit; without it the tests that want it skip)
#
# The sources are seen read-only; what is built stays in build-trixie/builds. Everything is mounted in a mount namespace
# that only this process and its children are in: however they end, nothing stays mounted.
set -u
cd "$(dirname "$0")/.." || exit 1
self=$PWD/tests/trixie.sh
root=$(realpath -m "${SHRIKE_TRIXIE:-build-trixie/root}")

# What could not even begin counts as a failed test, as in run.sh.
die() {
    echo "trixie: $*" >&2
    echo
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

say() { echo "== trixie: $*"; }

# usage: apt_sources LABEL: the first source of apt's that has this label, without the / at its end
apt_sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Origin: Debian" "Label: $1" 2>/dev/null |
        sed -n '1s,/$,,p'
}

find_mirror() {
    mirror=${SHRIKE_MIRROR:-$(apt_sources Debian)}
    if [ -z "$mirror" ] && apt-get update -q; then
        mirror=$(apt_sources Debian)
    fi
    case "$mirror" in
        http://* | https://*) say "packages come from $mirror" ;;
        '') die "apt has no source of Debian's packages here: name a mirror in SHRIKE_MIRROR" ;;
        *) die "apt's source $mirror cannot be used in a chroot: name a mirror (http or https) in SHRIKE_MIRROR" ;;
    esac
}

install_tools() {
    command -v debootstrap >/dev/null && [ -e /usr/share/debootstrap/scripts/trixie ] && return
    command -v apt-get >/dev/null ||
        die "debootstrap is missing or does not know Debian 13: install it with your own package manager"
    say "installing debootstrap"
    packages="debootstrap debian-archive-keyring"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $packages ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends $packages; } ||
        die "debootstrap could not be installed"
}

# A chroot that was interrupted on the way is not worth mending.
remove_half_made() {
    [ -e "$root" ] || return 0
    if [ -n "$(ls -A "$root")" ] && [ ! -d "$root/debootstrap" ] && [ ! -e "$root/etc/debian_version" ]; then
        die "$root is something else than a chroot: name another folder in SHRIKE_TRIXIE"
    fi
    mounts=$(findmnt -rn -o TARGET | grep -F "$root/")
    [ -z "$mounts" ] || die "something is mounted in the unfinished $root: unmount it first:" "$mounts"
    say "removing the unfinished $root"
    rm -rf --one-file-system "$root"
}

# The chroot's apt goes the way that this system's does: proxies, certificates, time checks. Passwords for mirrors
# (auth.conf) are not copied: a chroot lives too long for them.
configure_apt() {
    apt-config dump 2>/dev/null | grep '^Acquire::' | grep -v '^Acquire::\(IndexTargets\|CompressionTypes\)' \
        >"$root/etc/apt/apt.conf.d/90host"
    security=$(apt_sources Debian-Security)
    {
        echo "deb $mirror trixie main"
        echo "deb $mirror trixie-updates main"
        [ -z "$security" ] || echo "deb $security trixie-security main"
    } >"$root/etc/apt/sources.list"
    # no services in here, no time spent on documentation
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    printf 'path-exclude=/usr/share/%s/*\n' doc man locale >"$root/etc/dpkg/dpkg.cfg.d/lean"
}

make_chroot() {
    say "making the chroot in $root, once: some minutes"
    mkdir -p "$root" || die "cannot make $root"
    include=
    case "$mirror" in https://*) include=--include=ca-certificates ;; esac
    debootstrap --variant=minbase $include trixie "$root" "$mirror" ||
        die "debootstrap failed; its log may say more: $root/debootstrap/debootstrap.log"
    configure_apt
    touch "$root/.ready"
}

# usage: bind FROM TO [OPTIONS]: a folder or file seen in the chroot
bind() {
    if [ -d "$1" ]; then
        mkdir -p "$root/$2"
    else
        [ -e "$root/$2" ] || : >"$root/$2"
    fi
    mount -o "bind${3-}" "$1" "$root/$2" || die "cannot mount $1 in the chroot"
}

mount_all() {
    mount -t proc proc "$root/proc" || die "cannot mount /proc in the chroot"
    mount -t tmpfs -o mode=755 dev "$root/dev" || die "cannot mount /dev in the chroot"
    mkdir "$root/dev/shm"
    for device in null zero full random urandom; do
        bind "/dev/$device" "dev/$device"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    for folder in tmp dev/shm; do
        mount -t tmpfs -o mode=1777 tmp "$root/$folder" || die "cannot mount /$folder in the chroot"
    done
    for file in /etc/resolv.conf /etc/hosts; do
        [ -e "$file" ] && cp -L "$file" "$root/etc/"
    done
    [ -d /etc/ssl/certs ] && bind /etc/ssl/certs etc/ssl/certs ,ro
    bind "$PWD" shrike ,ro
    mkdir -p build-trixie/builds && bind "$PWD/build-trixie/builds" builds
    kit=${SHRIKE_KIT:-../shared/kit}
    if [ -d "$kit" ]; then
        bind "$kit" shared/kit ,ro
    fi
}

inside() {
    shift
    mount --make-rprivate / || die "cannot mount anything here: is this a container without CAP_SYS_ADMIN?"
    if [ ! -e "$root/.ready" ]; then
        find_mirror
        remove_half_made
        make_chroot
    fi
    mount_all
    say "Debian $(cat "$root/etc/debian_version"), chroot $root"
    chroot "$root" dpkg --configure -a || die "a package in $root is broken: delete that folder and try again"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        ${http_proxy+http_proxy="$http_proxy"} ${https_proxy+https_proxy="$https_proxy"} \
        ${no_proxy+no_proxy="$no_proxy"} SHRIKE_BUILDS=/builds /shrike/tests/run.sh "$@"
}

case "${1-}" in
    --inside) inside "$@" ;;
    --help) sed -n '2,10s/^# *//p' "$0"; exit 0 ;;
esac

[ "$(id -u)" -eq 0 ] || die "a chroot needs root: run this with sudo"
install_tools
unshare --mount true 2>/dev/null || die "cannot mount anything here: is this a container without CAP_SYS_ADMIN?"
mkdir -p "$(dirname "$root")" || die "cannot make the folder of $root"
# held until the last process of the run has ended
exec 9>"$root.lock"
flock -n 9 || die "another run uses $root: wait for it, or name another folder in SHRIKE_TRIXIE"
exec unshare --mount "$self" --inside "$@"
