#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Mends what swift-argument-parser's generate-manual writes: a page is named like its file, for whatis and apropos, and its
# paragraphs are told apart by a macro. Usage: Scripts/finish-manual.sh FOLDER
set -euo pipefail
for page in "$1"/*.1; do
    name=$(basename "$page" .1)
    sed -i -e "s/^\\.Nm$/.Nm \"${name//./ }\"/" -e "/^\\.Sh NAME/{n;s/.*/.Nm $name/}" -e 's/^$/.Pp/' "$page"
done
