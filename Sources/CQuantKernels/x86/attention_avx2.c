// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots, vectorised by the compiler.
#if defined(__x86_64__)
#include <string.h>

#include "../attention.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#define VE_NAME(job) ve_##job##_avx2
#include "../attention_tmpl.h"

#pragma clang attribute pop
#endif
