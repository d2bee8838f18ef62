#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Corrects the output of swift-argument-parser's generate-manual: pages are named after their files, with
# the hyphens by which `man videnhance batch` finds them, for whatis and apropos, and paragraphs are separated by a
# macro. Usage: Scripts/finish-manual.sh FOLDER
set -euo pipefail
for page in "$1"/*.1; do
    name=$(basename "$page" .1)
    # The help command needs no page.
    case $name in *.help) rm "$page"; continue ;; esac
    title=${name//./-}
    sed -i -e "s/^\\.Nm$/.Nm \"${name//./ }\"/" -e "/^\\.Sh NAME/{n;s/.*/.Nm $title/}" -e 's/^$/.Pp/' \
        -e "s/^\\.Dt .*/.Dt ${title^^} 1/" -e '/^\.Xr .*\.help /d' -e '/^\.Xr /s/\./-/2g' "$page"
    [ "$name" = "$title" ] || mv "$page" "$1/$title.1"
done
