// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)

#define VE_LANES 16
#define VE_TILES_AT_ONCE 12
#define VE_INPUTS_AT_ONCE 8
#define VE_KERNELS ve_float_avx512
#include "../float_convolution_tmpl.h"

#pragma clang attribute pop
#endif
