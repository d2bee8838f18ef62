// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots, vectorised by the compiler.
#if defined(__aarch64__)
#include <string.h>

#include "../attention.h"

#define VE_NAME(job) ve_##job##_neondot
#include "../attention_tmpl.h"
#endif
