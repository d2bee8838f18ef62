// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots, vectorised by the compiler.
#if defined(__x86_64__)
#include <string.h>

#include "../attention.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

#define VE_NAME(job) ve_##job##_avx512vnni
#include "../attention_tmpl.h"

#pragma clang attribute pop
#endif
