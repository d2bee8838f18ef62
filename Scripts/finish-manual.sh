#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Corrects the output of swift-argument-parser's generate-manual: pages are named after their files, for
# whatis and apropos, and paragraphs are separated by a macro. Usage: Scripts/finish-manual.sh FOLDER
set -euo pipefail
for page in "$1"/*.1; do
    name=$(basename "$page" .1)
    sed -i -e "s/^\\.Nm$/.Nm \"${name//./ }\"/" -e "/^\\.Sh NAME/{n;s/.*/.Nm $name/}" -e 's/^$/.Pp/' "$page"
done
