// SPDX-License-Identifier: Apache-2.0
// Direct 3x3 convolution on tile registers: declarations shared by the plan (tiles.c) and the kernels.
//
// One instruction multiplies a tile of 16 pixels x `depth` codes by one of `depth` weights x 16 output
// channels and adds the products to a tile of 16 x 16 32-bit sums, exactly for operands of all bit widths.
// The three taps of a row are contiguous in memory: their 3 x channels_in codes are divided into steps of
// equal depth, which need not divide the number of channels. Weights beyond the last tap are zero.
#ifndef VE_TILES_H
#define VE_TILES_H

#include "kernels.h"

enum {
  /// Pixels and output channels of a sum tile.
  VE_TILE_SIDE = 16,
  /// Bytes per tile row.
  VE_TILE_ROW = 64,
  /// Sum tiles computed together, vertically and horizontally.
  VE_TILES = 2,
  VE_MAX_TILE_BLOCKS = VE_MAX_CHANNELS / (VE_TILES * VE_TILE_SIDE),
};

/// One row of the output.
typedef struct ve_tile_row_args {
  int32_t pixels;
  int32_t channels_in;
  int32_t runs;  // slots x 3 rows
  int32_t steps;  // per run
  int32_t depth;  // codes per step, a multiple of 4 up to VE_TILE_ROW
  const uint8_t *const *rows;  // by run, each pointing to pixel -1
  /// Blocks of at most VE_TILES vectors of VE_TILE_SIDE channels.
  const ve_block *blocks;
  int32_t block_count;
  /// By block: [run][step][vector][depth / 4][lane][4]. A block starts at its first channel x runs x steps x depth.
  const int8_t *weights;
  const int32_t *bias;
  const ve_epilogue_args *epilogues;  // by block, for the whole row; `sums` is unused
} ve_tile_row_args;

typedef void ve_tile_row_fn(const ve_tile_row_args *args);

typedef struct ve_tile_kernels {
  /// Configures the calling thread's tile registers for steps of this depth, and releases them.
  void (*begin)(int32_t depth);
  void (*end)(void);
  ve_tile_row_fn *row;
} ve_tile_kernels;

#if defined(__x86_64__)
extern const ve_tile_kernels ve_tiles_amx;
#endif

#endif
