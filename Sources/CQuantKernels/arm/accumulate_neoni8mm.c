// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution with I8MM matrix products: an instruction multiplies eight unsigned codes
// of two pixels by eight signed weights of two output channels each, twice as many products as a dot product.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "../kernels.h"

#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)

// Loads eight codes of two adjacent pixels.
VE_INLINE uint8x16_t load_pair(const uint8_t *from, ptrdiff_t step) {
  return vcombine_u8(vld1_u8(from), vld1_u8(from + step));
}

// One register tile of 2 x `pairs` pixels and 4 x `vectors` channels; a register holds the sums of two pixels
// and two channels.
VE_INLINE void tile(const ve_accumulate_args *args, int32_t x, const int pairs, const int vectors) {
  int32x4_t sums[24];
  VE_UNROLL for (int j = 0; j < 2 * vectors; j++) {
    const int32x2_t bias = vld1_s32(args->bias + 2 * j);
    VE_UNROLL for (int i = 0; i < pairs; i++) sums[i * 2 * vectors + j] = vcombine_s32(bias, bias);
  }

  const ptrdiff_t step = args->channels_in;
  const ptrdiff_t run = 3 * step;
  const int8_t *weights = args->weights;
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *codes = args->rows[row] + x * step;
    // The last four codes may belong to the next pixel: their weights are zero.
    for (ptrdiff_t k = 0; k < run; k += 8, weights += 32 * vectors) {
      uint8x16_t pixels[12];
      VE_UNROLL for (int i = 0; i < pairs; i++) pixels[i] = load_pair(codes + 2 * i * step + k, step);
      VE_UNROLL for (int j = 0; j < 2 * vectors; j++) {
        const int8x16_t w = vld1q_s8(weights + 16 * j);
        VE_UNROLL for (int i = 0; i < pairs; i++)
          sums[i * 2 * vectors + j] = vusmmlaq_s32(sums[i * 2 * vectors + j], pixels[i], w);
      }
    }
  }

  VE_UNROLL for (int i = 0; i < pairs; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const int64x2_t low = vreinterpretq_s64_s32(sums[(i * vectors + j) * 2]);
      const int64x2_t high = vreinterpretq_s64_s32(sums[(i * vectors + j) * 2 + 1]);
      int32_t *to = args->sums + ((x + 2 * i) * vectors + j) * 4;
      vst1q_s32(to, vreinterpretq_s32_s64(vzip1q_s64(low, high)));
      vst1q_s32(to + 4 * vectors, vreinterpretq_s32_s64(vzip2q_s64(low, high)));
    }
}

void ve_accumulate_neoni8mm(const ve_accumulate_args *args) {
  switch (args->vectors) {
    case 1:
      for (int32_t x = 0; x < args->pixels; x += 24) tile(args, x, 12, 1);
      break;
    case 2:
      for (int32_t x = 0; x < args->pixels; x += 12) tile(args, x, 6, 2);
      break;
    case 3:
      for (int32_t x = 0; x < args->pixels; x += 8) tile(args, x, 4, 3);
      break;
    default:
      for (int32_t x = 0; x < args->pixels; x += 6) tile(args, x, 3, 4);
      break;
  }
}

#pragma clang attribute pop
#endif
