// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define VE_LANES 8
#define VE_TILES_AT_ONCE 6
#define VE_INPUTS_AT_ONCE 6
#define VE_KERNELS ve_float_avx2
#include "../float_convolution_tmpl.h"

#pragma clang attribute pop
#endif
