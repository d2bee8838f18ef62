// SPDX-License-Identifier: Apache-2.0
// Direct 3x3 convolution with AMX.
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

#include "epilogue_avx512_tmpl.h"
#include "tiles_amx_tmpl.h"

#pragma clang attribute pop

const ve_tile_kernels ve_tiles_amx = {.begin = begin, .end = end, .row = row};
#endif
