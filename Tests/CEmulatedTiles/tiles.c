// SPDX-License-Identifier: Apache-2.0
// The source of the AMX kernels, unchanged, with emulated/immintrin.h instead of the compiler's header.
#include <immintrin.h>

#include "CEmulatedTiles.h"
#include "plan.h"
#include "x86/epilogue_avx512_tmpl.h"
#include "x86/tiles_amx_tmpl.h"

#ifndef EMULATED_IMMINTRIN_H
#error "the compiler's immintrin.h was found first"
#endif

static const ve_tile_kernels tiles = {.begin = begin, .end = end, .row = row};

// The other entries are not called.
static const ve_kernels kernels = {
    .lanes = VE_TILE_SIDE,
    .block_vectors = 4,
    .accumulate = ve_accumulate_scalar,
    .layout = VE_WEIGHTS_QUADS,
    .epilogue = ve_epilogue_scalar,
    .tiles = &tiles,
};

ve_conv3x3 *ve_emulated_tiles_create(
    const ve_conv3x3_description *description, const int8_t *weights, const int32_t *bias, const float *multiplier) {
  // Transforms are not emulated.
  if (description->algorithm == VE_CONV3X3_WINOGRAD) return NULL;
  return ve_conv3x3_create_with(&kernels, description, weights, bias, multiplier);
}

bool ve_emulated_tiles_in_use(void) { return emulated.palette != 0; }
