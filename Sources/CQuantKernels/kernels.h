// SPDX-License-Identifier: Apache-2.0
// What the driver (conv3x3.c) and the kernels of each instruction set share.
//
// Names: ve_<job>_<instruction set>, in <job>.c for the scalar truth and
// x86/<job>_<instruction set>.c for the rest. Each signature is declared once,
// below; ve_kernels_for() lists what belongs to which instruction set.
#ifndef VE_KERNELS_H
#define VE_KERNELS_H

#include "CQuantKernels.h"

// Scalar and vector results must agree to the bit; a fused a * b + c rounds
// once less.
#pragma STDC FP_CONTRACT OFF

#define VE_INLINE static inline __attribute__((always_inline))
#define VE_UNROLL _Pragma("clang loop unroll(full)")
#define VE_NO_UNROLL _Pragma("clang loop unroll(disable)")

enum {
  /// Pixels of a row computed between two calls of the epilogue: a multiple of
  /// every register tile's width, small enough for the sums to stay in L1.
  VE_STRIP = 24,
  /// Most output channels of a block.
  VE_BLOCK_LANES = 64,
  VE_ALIGNMENT = 64,
};

/// Result limits before the streams come in: all integers in between are
/// exact in 32-bit floating point.
#define VE_SUM_MIN (-8388608.0f)
#define VE_SUM_MAX (8388607.0f)

/// Layout of packed weights within a block.
typedef enum ve_weight_layout {
  /// [slot][ky][kx * channels_in / 4][lane][4] of int8_t.
  VE_WEIGHTS_QUADS,
  /// [slot][ky][kx * channels_in / 2][lane][2] of int16_t.
  VE_WEIGHTS_PAIRS,
} ve_weight_layout;

/// Output channels that are computed together.
typedef struct ve_block {
  int32_t first_channel;
  int32_t channels;  // that exist, the rest of the lanes is padding
  int32_t vectors;
} ve_block;

/// Sums of a strip: pixels x block lanes.
typedef struct ve_accumulate_args {
  int32_t slots;
  int32_t channels_in;
  int32_t pixels;
  int32_t vectors;
  /// The last vector has only 8 channels; its upper half repeats the lower, in
  /// weights (not in biases).
  bool half;
  /// Additions of int16 products of two before they have to be widened.
  int32_t int16_steps;
  /// slots x 3 rows, each at the strip's first pixel minus one.
  const uint8_t *const *rows;
  const void *weights;
  const int32_t *bias;
  /// [VE_STRIP][vectors * lanes]; whole tiles are written.
  int32_t *sums;
} ve_accumulate_args;

typedef void ve_accumulate_fn(const ve_accumulate_args *args);

/// Turns sums into streams and codes for `pixels` pixels of one block.
/// Pointers are at the first pixel and the block's first channel.
typedef struct ve_epilogue_args {
  const int32_t *sums;
  int32_t sums_stride;  // int32_t a pixel
  int32_t pixels;
  int32_t channels;  // multiple of 8
  int32_t pixel_stride;  // values a pixel in streams and codes
  const float *multiplier;
  const int16_t *stream_in;
  int16_t *stream_out;
  int32_t output_count;
  const ve_codes_output *outputs;  // formats only
  uint8_t *codes[VE_MAX_OUTPUTS];
} ve_epilogue_args;

typedef void ve_epilogue_fn(const ve_epilogue_args *args);

/// Codes of `count` consecutive values, a multiple of 8.
typedef void ve_requantize_fn(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes);

typedef struct ve_kernels {
  int32_t lanes;
  int32_t block_vectors;  // most vectors of a block
  ve_accumulate_fn *accumulate;  // any operands
  ve_weight_layout layout;
  ve_accumulate_fn *accumulate_narrow;  // when int16_steps suffice, or NULL
  int32_t narrow_steps;  // least int16_steps worth using it for
  ve_epilogue_fn *epilogue;
  ve_requantize_fn *requantize;
  const struct ve_winograd_kernels *winograd;
} ve_kernels;

const ve_kernels *ve_kernels_for(ve_isa isa);

ve_accumulate_fn ve_accumulate_scalar;
ve_epilogue_fn ve_epilogue_scalar;
ve_requantize_fn ve_requantize_scalar;

#if defined(__x86_64__)
ve_accumulate_fn ve_accumulate_avx2;
ve_accumulate_fn ve_accumulate_narrow_avx2;
ve_epilogue_fn ve_epilogue_avx2;
ve_requantize_fn ve_requantize_avx2;

ve_accumulate_fn ve_accumulate_avxvnni;

ve_accumulate_fn ve_accumulate_avx512vnni;
ve_epilogue_fn ve_epilogue_avx512vnni;
ve_requantize_fn ve_requantize_avx512vnni;

double ve_peak_vpdpbusd_avx512vnni(double seconds);
double ve_peak_vpdpbusd_avxvnni(double seconds);
double ve_peak_fp32_avx512vnni(double seconds);
double ve_peak_fp32_avx2(double seconds);
#endif

#endif
