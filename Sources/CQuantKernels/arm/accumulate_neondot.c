// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution with 128-bit dot products of signed bytes: flipping the top bit subtracts 128 from
// codes, which the biases compensate (ve_kernels.signed_codes).
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "../kernels.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

VE_INLINE int8x16_t load_codes(const uint8_t *from) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(from), vdupq_n_u8(0x80)));
}

VE_INLINE int8x16_t broadcast(const uint8_t *codes) {
  uint32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return vreinterpretq_s8_u32(vdupq_n_u32(quad ^ 0x80808080u));
}

// Adds one of four quads that were loaded together; `lane` must be a literal.
#define VE_ADD_QUAD(lane)                                                                        \
  VE_UNROLL for (int j = 0; j < vectors; j++) {                                                  \
    const int8x16_t w = vld1q_s8(weights + 16 * (lane * vectors + j));                           \
    VE_UNROLL for (int i = 0; i < pixels; i++)                                                   \
      sums[i * vectors + j] = vdotq_laneq_s32(sums[i * vectors + j], w, codes[i], lane);         \
  }

// One register tile of `pixels` x `vectors` sums.
VE_INLINE void tile(const ve_accumulate_args *args, int32_t x, const int pixels, const int vectors) {
  int32x4_t sums[18];
  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) sums[i * vectors + j] = vld1q_s32(args->bias + 4 * j);

  const ptrdiff_t step = args->channels_in;
  const ptrdiff_t run = 3 * step;
  const int8_t *weights = args->weights;
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *from = args->rows[row] + x * step;
    ptrdiff_t k = 0;
    for (; k + 16 <= run; k += 16, weights += 64 * vectors) {
      int8x16_t codes[12];
      VE_UNROLL for (int i = 0; i < pixels; i++) codes[i] = load_codes(from + i * step + k);
      VE_ADD_QUAD(0)
      VE_ADD_QUAD(1)
      VE_ADD_QUAD(2)
      VE_ADD_QUAD(3)
    }
    for (; k < run; k += 4, weights += 16 * vectors)
      VE_UNROLL for (int i = 0; i < pixels; i++) {
        const int8x16_t code = broadcast(from + i * step + k);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          sums[i * vectors + j] = vdotq_s32(sums[i * vectors + j], vld1q_s8(weights + 16 * j), code);
      }
  }

  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      vst1q_s32(args->sums + ((x + i) * vectors + j) * 4, sums[i * vectors + j]);
}

void ve_accumulate_neondot(const ve_accumulate_args *args) {
  switch (args->vectors) {
    case 1:
      for (int32_t x = 0; x < args->pixels; x += 12) tile(args, x, 12, 1);
      break;
    case 2:
      for (int32_t x = 0; x < args->pixels; x += 8) tile(args, x, 8, 2);
      break;
    case 3:
      for (int32_t x = 0; x < args->pixels; x += 6) tile(args, x, 6, 3);
      break;
    default:
      for (int32_t x = 0; x < args->pixels; x += 4) tile(args, x, 4, 4);
      break;
  }
}

#pragma clang attribute pop
#endif
