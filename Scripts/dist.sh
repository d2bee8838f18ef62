#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packs an installation staged by `make dist`: a Debian package, and a tar.gz that runs from any folder. The
# package depends on Debian's FFmpeg and oneDNN. The tar.gz contains them with all their dependencies except
# glibc, since other distributions have other versions of FFmpeg with different structures.
# Usage: Scripts/dist.sh VERSION BUILD OUT
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 build=$(realpath "$2") out=$3
stage=$build/stage/usr
program=$stage/bin/videnhance
architecture=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-videnhance maintainers} <${DEBEMAIL:-maintainers@videnhance.example}>"

fail() { echo "dist: $*" >&2; exit 1; }

[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version '$version' is not of the form 1.2.3"
! readelf -d "$program" | grep -E 'NEEDED.*lib(swift|Foundation|dispatch)' ||
    fail "$program needs Swift's libraries: build with --static-swift-stdlib"
ls "$stage"/share/videnhance/*.safetensors >/dev/null || fail "no models in $stage/share/videnhance"

# Make builds reproducible.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
umask 022
mkdir -p "$out"

sed -i "s/^\.Dd .*/.Dd $(date -u -d "@$SOURCE_DATE_EPOCH" '+%B %-d, %Y')/" "$stage"/share/man/man1/*.1
strip --strip-all --remove-section=.comment --remove-section=.note "$program"

# Debian package
root=$build/deb
rm -rf "$root"
mkdir -p "$root/DEBIAN" "$root/usr/share/lintian/overrides" "$root/usr/share/doc/videnhance" \
    "$root/usr/share/zsh/vendor-completions"
cp -a "$stage/." "$root/usr"
patchelf --remove-rpath "$root/usr/bin/videnhance"
mv "$root/usr/share/zsh/site-functions/_videnhance" "$root/usr/share/zsh/vendor-completions"
rmdir "$root/usr/share/zsh/site-functions"
gzip -9n "$root"/usr/share/man/man1/*.1
# Completions are sourced by the shell, not executed.
sed -i '1{/^#!/d}' "$root/usr/share/bash-completion/completions/videnhance"
install -m 644 Packaging/copyright "$root/usr/share/doc/videnhance/copyright"
install -m 644 Packaging/lintian-overrides "$root/usr/share/lintian/overrides/videnhance"
gzip -9nc CHANGELOG.md > "$root/usr/share/doc/videnhance/changelog.gz"
gzip -9n > "$root/usr/share/doc/videnhance/changelog.Debian.gz" << END
videnhance ($version-1) bookworm; urgency=medium

  * Release $version; changelog.gz lists what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END

# dpkg-shlibdeps expects a source package.
mkdir -p "$build/source/debian"
printf 'Source: videnhance\n\nPackage: videnhance\nArchitecture: any\n' > "$build/source/debian/control"
depends=$(cd "$build/source" && dpkg-shlibdeps -O "$root/usr/bin/videnhance")
depends=${depends#shlibs:Depends=}
for name in libavcodec libavfilter libavformat libdnnl; do
    [[ $depends == *$name* ]] || fail "no dependency on $name in: $depends"
done
cat > "$root/DEBIAN/control" << END
Package: videnhance
Version: $version-1
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
Depends: $depends
Suggests: ffmpeg
Section: video
Priority: optional
Description: super-resolution, denoising and frame interpolation of video
 Makes video larger, cleaner and smoother on an ordinary processor, with
 neural networks that look at several frames at a time and run on integers of
 8 down to 2 bits.
 .
 Sound, subtitles, chapters, tags, timestamps, colour and bit depth of the
 source are kept. The program also compares networks and filters on footage
 of one's own, and trains, calibrates and distills networks.
END
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
package=$out/videnhance_$version-1_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" > /dev/null

# Archive for any folder
name=videnhance-$version-linux-$(uname -m)
root=$build/tarball/$name
rm -rf "$build/tarball" "$build/bundled"
mkdir -p "$root"
cp -a "$stage/." "$root"
notices=$root/share/doc/videnhance
mkdir -p "$notices/libraries" "$root/lib/videnhance"
install -m 644 Packaging/copyright LICENSE CHANGELOG.md "$notices"
install -m 644 Packaging/tarball.txt "$root/README"
# RPATH instead of RUNPATH: it also applies to dependencies of libraries, and precedes LD_LIBRARY_PATH.
patchelf --force-rpath --set-rpath "\$ORIGIN/../lib/videnhance" "$root/bin/videnhance"

# dpkg may list a library in /lib or in /usr/lib, since one has become a link to the other.
ldd "$program" | awk '$2 == "=>" { print $3 }' | sort -u | while read -r library; do
    echo "$library $(readlink -f "$library")"
done > "$build/libraries"
awk '{ print $2; print substr($2, 5) }' "$build/libraries" | xargs dpkg-query -S 2> /dev/null > "$build/owners" || true
while read -r library file; do
    of=$(awk -F': ' -v file="$file" '$2 == file || "/usr" $2 == file { print $1; exit }' "$build/owners")
    [ -n "$of" ] || fail "$file is of no Debian package, so its licence and source are unknown"
    [ "${of%%:*}" != libc6 ] || continue
    cp "$file" "$root/lib/videnhance/${library##*/}"
    cp "/usr/share/doc/${of%%:*}/copyright" "$notices/libraries/${of%%:*}"
    echo "$of" >> "$build/bundled"
done < "$build/libraries"
sort -u "$build/bundled" |
    xargs dpkg-query -W -f '${Package} ${Version}, source ${source:Package} ${source:Version}\n' \
        > "$notices/libraries/SOURCES"
chmod 644 "$root"/lib/videnhance/* "$notices"/libraries/*
archive=$out/$name.tar.gz
tar --create --directory "$build/tarball" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
    --numeric-owner "$name" | gzip -6n > "$archive"

du --apparent-size -h "$package" "$archive"
