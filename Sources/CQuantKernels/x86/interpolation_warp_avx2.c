// SPDX-License-Identifier: Apache-2.0
// Overlapped block warping with 256-bit vectors.
#if defined(__x86_64__)
#include "../interpolation.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#define VE_NAME(job) ve_interp_##job##_avx2
#include "../interpolation_warp_tmpl.h"

#pragma clang attribute pop
#endif
