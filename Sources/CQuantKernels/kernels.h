// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the driver (conv3x3.c) and the kernels of each instruction set.
//
// Names: ve_<job>_<instruction set>, in <job>.c for the scalar reference and
// x86/ or arm/<job>_<instruction set>.c for the rest. Each signature is declared once,
// below; ve_kernels_for() returns the kernels of an instruction set. Code that is compiled for several instruction sets by
// inclusion is in <job>_tmpl.h.
#ifndef VE_KERNELS_H
#define VE_KERNELS_H

#include "CQuantKernels.h"

// Scalar and vector results must agree bit for bit; a fused a * b + c rounds
// once instead of twice.
#pragma STDC FP_CONTRACT OFF

#define VE_INLINE static inline __attribute__((always_inline))
#define VE_UNROLL _Pragma("clang loop unroll(full)")
#define VE_NO_UNROLL _Pragma("clang loop unroll(disable)")

VE_INLINE int32_t ve_clamp(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

/// Offset of row `y` from row 0 in bytes.
VE_INLINE ptrdiff_t ve_row(int32_t y, ptrdiff_t stride, ve_wrap wrap) {
  return y * stride - (y >= wrap.row ? wrap.bytes : 0);
}

enum {
  /// Pixels of a row computed between two calls of the epilogue: a multiple of
  /// every register tile's width, small enough for the sums to stay in L1.
  VE_STRIP = 24,
  /// Maximum output channels per block.
  VE_BLOCK_LANES = 64,
  VE_ALIGNMENT = 64,
};

/// Rounds up to a multiple of VE_ALIGNMENT.
VE_INLINE size_t ve_aligned(size_t bytes) { return (bytes + VE_ALIGNMENT - 1) / VE_ALIGNMENT * VE_ALIGNMENT; }

/// Replicates the outermost pixels of a plane into the `border` pixels around it.
void ve_replicate_border(uint8_t *plane, ptrdiff_t stride, int32_t width, int32_t height, int32_t border);

/// Limits of results before streams are added: all integers in between are
/// exact in 32-bit floating point.
#define VE_SUM_MIN (-8388608.0f)
#define VE_SUM_MAX (8388607.0f)

/// Layout of packed weights within a block.
typedef enum ve_weight_layout {
  /// [slot][ky][kx * channels_in / 4][lane][4] of int8_t.
  VE_WEIGHTS_QUADS,
  /// [slot][ky][kx * channels_in / 2][lane][2] of int16_t.
  VE_WEIGHTS_PAIRS,
  /// [slot][ky][kx * channels_in / 8, rounded up][lane][8] of int8_t, with zeros after the last tap.
  VE_WEIGHTS_EIGHTS,
} ve_weight_layout;

/// Output channels computed together.
typedef struct ve_block {
  int32_t first_channel;
  int32_t channels;  // actual channels; the other lanes are padding
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
  /// Additions of pairs of int16 products before sums have to be widened.
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
  int32_t sums_stride;  // int32_t per pixel
  int32_t pixels;
  int32_t channels;  // multiple of 8, or of the number of lanes if that is less
  int32_t pixel_stride;  // values per pixel in streams and codes
  const float *multiplier;
  bool is_bounded;  // no sum times its multiplier exceeds VE_SUM_MIN ... VE_SUM_MAX
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

/// As ve_motion_search.
typedef void ve_motion_search_fn(
    const ve_motion_plane *reference, const ve_motion_plane *neighbour, const ve_motion_vector *prior,
    int32_t prior_factor, ve_motion_vector *vectors);

/// As the parameters of ve_motion_neighbour.
typedef struct ve_neighbour_args {
  const ve_motion_plane *reference, *neighbour;
  const uint8_t *chroma[2];
  const ve_motion_vector *vectors;
  uint8_t *result;
  ptrdiff_t pixel_stride, row_stride;
  int32_t row_begin, row_end;
} ve_neighbour_args;

typedef void ve_motion_neighbour_fn(const ve_neighbour_args *args);

/// As ve_interp_search.
typedef int ve_interp_search_fn(
    const ve_interp_plane *first, const ve_interp_plane *second, int32_t time, ve_interp_vector *vectors);

/// As ve_interp_refine.
typedef void ve_interp_refine_fn(
    const ve_interp_plane *first, const ve_interp_plane *second, int32_t time, ve_interp_vector *vectors,
    int32_t row_begin, int32_t row_end);

/// As the parameters of ve_interp_warp; `columns` and `rows` of blocks.
typedef struct ve_interp_warp_args {
  const ve_interp_source *source;
  int32_t columns, rows;
  const ve_interp_vector *vectors;
  int32_t time, is_second;
  void *result;
  ptrdiff_t result_stride;
  int32_t row_begin, row_end;
} ve_interp_warp_args;

typedef void ve_interp_warp_fn(const ve_interp_warp_args *args);

/// A row of attention over slots.
typedef struct ve_attention_args {
  const ve_attention *attention;
  int32_t pixels;
  const uint8_t *query;
  const uint8_t *keys[VE_MAX_ATTENDED], *values[VE_MAX_ATTENDED];
  uint8_t *codes;
  int32_t zero_point, levels;
} ve_attention_args;

typedef void ve_attention_fn(const ve_attention_args *args);

typedef struct ve_kernels {
  int32_t lanes;
  int32_t block_vectors;  // maximum vectors per block
  bool signed_codes;  // products of signed bytes: codes and transformed inputs minus 128
  ve_accumulate_fn *accumulate;  // any operands
  ve_weight_layout layout;
  ve_accumulate_fn *accumulate_narrow;  // if int16_steps suffice, or NULL
  int32_t narrow_steps;  // least int16_steps worth using it for
  ve_epilogue_fn *epilogue;
  ve_requantize_fn *requantize;
  const struct ve_winograd_kernels *winograd;
  const struct ve_winograd_kernels *winograd_words;  // with 16-bit operands, or NULL
  const struct ve_tile_kernels *tiles;  // in place of the direct algorithm's kernels, or NULL
  ve_attention_fn *attention;
  ve_motion_search_fn *motion_search;
  ve_motion_neighbour_fn *motion_neighbour;
  ve_interp_search_fn *interp_search;
  ve_interp_refine_fn *interp_refine;
  ve_interp_warp_fn *interp_warp;
} ve_kernels;

const ve_kernels *ve_kernels_for(ve_isa isa);

ve_accumulate_fn ve_accumulate_scalar;
ve_epilogue_fn ve_epilogue_scalar;
ve_requantize_fn ve_requantize_scalar;
ve_attention_fn ve_attention_scalar;
ve_motion_search_fn ve_motion_search_scalar;
ve_motion_neighbour_fn ve_motion_neighbour_scalar;
ve_interp_search_fn ve_interp_search_scalar;
ve_interp_refine_fn ve_interp_refine_scalar;
ve_interp_warp_fn ve_interp_warp_scalar;

#if defined(__aarch64__)
ve_accumulate_fn ve_accumulate_neondot;
ve_accumulate_fn ve_accumulate_neoni8mm;
ve_epilogue_fn ve_epilogue_neondot;
ve_requantize_fn ve_requantize_neondot;
ve_attention_fn ve_attention_neondot;
#endif

#if defined(__x86_64__)
ve_accumulate_fn ve_accumulate_avx2;
ve_accumulate_fn ve_accumulate_narrow_avx2;
ve_epilogue_fn ve_epilogue_avx2;
ve_requantize_fn ve_requantize_avx2;
ve_attention_fn ve_attention_avx2;
ve_motion_search_fn ve_motion_search_avx2;
ve_motion_neighbour_fn ve_motion_neighbour_avx2;
ve_interp_search_fn ve_interp_search_avx2;
ve_interp_refine_fn ve_interp_refine_avx2;
ve_interp_warp_fn ve_interp_warp_avx2;

ve_accumulate_fn ve_accumulate_avxvnni;

ve_accumulate_fn ve_accumulate_avx512vnni;
ve_epilogue_fn ve_epilogue_avx512vnni;
ve_requantize_fn ve_requantize_avx512vnni;
ve_attention_fn ve_attention_avx512vnni;

double ve_peak_tdpbusd_amx(double seconds);
double ve_peak_vpdpbusd_avx512vnni(double seconds);
double ve_peak_vpdpbusd_avxvnni(double seconds);
double ve_peak_fp32_avx512vnni(double seconds);
double ve_peak_fp32_avx2(double seconds);
#endif

#endif
