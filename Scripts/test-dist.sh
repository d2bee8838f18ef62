#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests the packages of `make dist` in a minimal Debian, which debootstrap installs from this machine's
# mirror: the tar.gz with nothing else installed, then the Debian package. Run as root on Debian 12.
# Usage: Scripts/test-dist.sh VERSION OUT
set -euo pipefail

fail() { echo "test-dist: $*" >&2; exit 1; }
ok() { echo "ok: $*"; }

[ "$(id -u)" = 0 ] || fail "needs root, for chroot and apt"
# Mounts in a separate namespace disappear however the script ends.
if [ -z "${TEST_DIST_NAMESPACE:-}" ]; then
    TEST_DIST_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi

cd "$(dirname "$0")/.."
version=$1 out=$(realpath "$2")
architecture=$(dpkg --print-architecture)
package=$out/videnhance_$version-1_$architecture.deb
name=videnhance-$version-linux-$(uname -m)
archive=$out/$name.tar.gz
for file in "$package" "$archive"; do [ -f "$file" ] || fail "$file is missing: make dist"; done

work=$(mktemp -d /var/tmp/videnhance-dist.XXXXXX)
root=$work/root
finish() {
    local code=$?
    for folder in proc dev; do ! mountpoint -q "$root/$folder" || umount -l "$root/$folder"; done
    rm -rf --one-file-system "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Check the package with lintian.
tags=$(lintian --allow-root --fail-on none --display-info "$package")
! grep -E '^[EW]:' <<< "$tags" || fail "lintian has errors or warnings"
ok "lintian: no errors or warnings; noted: $(awk '$1 == "I:" { print $3 }' <<< "$tags" | sort -u | tr '\n' ' ')"

# A minimal system of this machine's release.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources=$(apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
    awk -F'|' -v c="$codename" '$1 ~ /^Debian/ && index($3, c) == 1 && $4 == "main" { print "deb", $2, $3, $4 }' | sort -u)
mirror=$(awk -v c="$codename" '$3 == c { print $2; exit }' <<< "$sources")
[ -n "$mirror" ] || fail "apt knows no mirror of Debian $codename"
debootstrap --variant=minbase "$codename" "$root" "$mirror" > "$work/log" 2>&1 ||
    { tail -5 "$work/log" >&2; fail "debootstrap failed"; }
echo "$sources" > "$root/etc/apt/sources.list"
apt-config dump Acquire | grep -i proxy > "$root/etc/apt/apt.conf.d/90proxy" || true
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"

inside() { chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 "$@"; }
# An unprivileged user with their own folder.
as_user() {
    chroot --userspec=1000:1000 "$root" env -i --chdir=/home/user PATH=/home/user/bin:/usr/bin:/bin \
        HOME=/home/user LC_ALL=C.UTF-8 "$@"
}
# Lists everything except caches, logs and package lists.
listing() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./home \
        -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/log \) -prune -o -print | sort)
}
megabytes() { du -xsm "$root" --exclude=./var/cache | cut -f1; }

inside apt-get -qq update
mkdir -p "$root/home/user/bin"
ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=160x120:rate=25:duration=2 -f lavfi -i sine=duration=2 \
    -c:v libx264 -pix_fmt yuv420p -c:a aac "$root/home/user/in.mp4"
chown -R 1000:1000 "$root/home/user"
listing > "$work/before"

# try PROGRAM KIND: tests that apply to every installation.
try() {
    local program=$1 kind=$2
    [ "$(as_user "$program" version)" = "$version" ] || fail "$kind: not version $version"
    as_user "$program" doctor > "$work/doctor" || { cat "$work/doctor" >&2; fail "$kind: doctor"; }
    grep -q '^nothing is missing$' "$work/doctor" || { cat "$work/doctor" >&2; fail "$kind: doctor misses something"; }
    for task in sr denoise interp; do
        as_user "$program" in.mp4 "$kind-$task.mp4" --task "$task" --quiet || fail "$kind: --task $task"
    done
    local streams
    streams=$(ffprobe -v error -count_frames -show_entries stream=codec_name,width,height,nb_read_frames \
        -select_streams v -of csv=p=0 "$root/home/user/$kind-sr.mp4")
    [ "$streams" = h264,320,240,50 ] || fail "$kind: the output is $streams"
    ffprobe -v error -select_streams a -show_entries stream=codec_name -of csv=p=0 \
        "$root/home/user/$kind-sr.mp4" | grep -q aac || fail "$kind: the sound is missing"
    # Size of the stream header, frame header and frame; best of five runs.
    local start times=
    for _ in 1 2 3 4 5; do
        start=$EPOCHREALTIME
        as_user sh -c '"$1" in.mp4 - --quiet 2>/dev/null | head -c 115400 > first' sh "$program"
        times+="$(awk "BEGIN { printf \"%.2f\", $EPOCHREALTIME - $start }")"$'\n'
        [ "$(stat -c %s "$root/home/user/first")" = 115400 ] || fail "$kind: no frame on standard output"
    done
    ok "$kind: doctor, sr, denoise, interp; first frame after $(sort -n <<< "${times%$'\n'}" | head -1) s"
}

# The tar.gz, in a folder with a space, started through two links from another folder; nothing else is
# installed.
folder="$root/home/user/my programs"
mkdir "$folder"
tar --extract --gzip --file "$archive" --directory "$folder"
ln -s "../my programs/$name/bin/videnhance" "$root/home/user/bin/enhance"
ln -s /home/user/bin/enhance "$root/home/user/bin/videnhance"
inside ldd "/home/user/my programs/$name/bin/videnhance" > "$work/ldd"
! grep 'not found' "$work/ldd" || fail "tar.gz: libraries are missing"
foreign=$(awk '$2 == "=>" && $3 ~ /^\// && $0 !~ /my programs/ { print $1 }' "$work/ldd" | sort | tr '\n' ' ')
[[ $foreign =~ ^((libc|libm|libdl|libpthread|librt|libresolv|libmvec)\.so\.[0-9]+\ )*$ ]] ||
    fail "tar.gz: taken from the system: $foreign"
try videnhance tarball
inside ls /usr/lib/"$(uname -m)"-linux-gnu/libavcodec.so.59 > /dev/null 2>&1 && fail "FFmpeg was there before"
ok "tar.gz: $(($(stat -c %s "$archive") / 1000000)) MB, unpacked $(du -sm "$folder" | cut -f1) MB, from the system: $foreign"
rm -r "$folder" "$root"/home/user/bin/*
listing | diff "$work/before" - || fail "tar.gz: it left something"

# The Debian package
cp "$package" "$root/tmp/"
before=$(megabytes)
start=$EPOCHREALTIME
inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "/tmp/${package##*/}" \
    > "$work/log" 2>&1 || { tail "$work/log" >&2; fail "apt-get install failed"; }
took=$(awk "BEGIN { printf \"%.0f\", $EPOCHREALTIME - $start }")
count=$(grep -c '^Setting up' "$work/log")
download=$(grep -E '^Need to get' "$work/log" || true)
try videnhance deb
for task in sr denoise interp; do
    cmp "$root/home/user/tarball-$task.mp4" "$root/home/user/deb-$task.mp4" || fail "the two packages differ at $task"
done
for file in man/man1/videnhance.1.gz bash-completion/completions/videnhance zsh/vendor-completions/_videnhance \
    fish/vendor_completions.d/videnhance.fish doc/videnhance/copyright; do
    [ -f "$root/usr/share/$file" ] || fail "deb: no /usr/share/$file"
done
commands=$(as_user videnhance help | sed -nE 's/^  ([a-z]+)( \(default\))?  .*/\1/p')
[ "$(wc -w <<< "$commands")" -gt 10 ] || fail "deb: help lists no commands"
for command in $commands; do
    [ -f "$root/usr/share/man/man1/videnhance-$command.1.gz" ] || fail "deb: no manual page of $command"
done
ok "deb: $(($(stat -c %s "$package") / 1000000)) MB, with $((count - 1)) packages that it needs installed in $took s" \
    "($(($(megabytes) - before)) MB; ${download:-all were there})"
inside env DEBIAN_FRONTEND=noninteractive apt-get purge -y -q --autoremove videnhance > "$work/log" 2>&1 ||
    { tail "$work/log" >&2; fail "apt-get purge failed"; }
rm "$root/tmp/${package##*/}"
listing | diff "$work/before" - > "$work/left" || true
! grep videnhance "$work/left" || fail "deb: it left something"
ok "deb: removed with what it needed; of other packages $(grep -c '^>' "$work/left" || true) files are left"
