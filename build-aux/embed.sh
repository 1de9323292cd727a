#!/bin/sh
# SPDX-License-Identifier: MIT
#
# embed.sh FILE NAME HEADER: prints C that holds FILE as
# `const char NAME[]` and `const size_t NAME_size`.
set -eu
file=$1 name=$2 header=$3
cat <<END
/* SPDX-License-Identifier: MIT
 *
 * Made by build-aux/embed.sh from ${file##*/}; edit that.
 */
#include "$header"

const char $name[] =
END
od -An -v -tx1 "$file" |
	sed -e 's/[ 	]*\([0-9a-f][0-9a-f]\)/\\x\1/g' -e 's/.*/	"&"/'
cat <<END
	"";
const size_t ${name}_size = sizeof($name) - 1;
END
