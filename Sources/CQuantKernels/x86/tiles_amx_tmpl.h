// SPDX-License-Identifier: Apache-2.0
// Rows of a direct convolution on AMX's eight tile registers; included with the target attribute set, after
// epilogue_avx512_tmpl.h. Tiles 0 to 3 hold the sums of 32 pixels x 32 channels, 4 and 5 codes of 16 pixels
// each, 6 and 7 weights of 16 channels each. Four loads serve four products: each loaded tile is used twice.
//
// The tile unit runs in parallel with the core's other instructions. The epilogue of a block is therefore
// interleaved with the products of the next one, and sums alternate between two buffers.
#include <string.h>

#include "../tiles.h"

typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

_Static_assert(sizeof(tile_shapes) == 64, "the operand of ldtilecfg");

static void begin(int32_t depth) {
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    const bool holds_codes = i == 4 || i == 5, holds_weights = i >= 6;
    shapes.rows[i] = holds_weights ? (uint8_t)(depth / 4) : VE_TILE_SIDE;
    shapes.row_bytes[i] = holds_codes ? (uint16_t)depth : VE_TILE_ROW;
  }
  _tile_loadconfig(&shapes);
}

static void end(void) { _tile_release(); }

// MARK: - Epilogue

// A block whose sums are complete but not written yet.
typedef struct pending {
  const writer *writer;
  int32_t vectors;
  const int32_t *sums;  // starting at pixel `at`
  int32_t at, end;
} pending;

VE_INLINE void write_run(pending *p, int32_t end, const int vectors, const bool codes_only) {
  const int32_t *sums = p->sums;
  for (int32_t pixel = p->at; pixel < end; pixel++, sums += vectors * VE_TILE_SIDE) {
    __m512i registers[VE_TILES];
    VE_UNROLL for (int j = 0; j < vectors; j++) registers[j] = _mm512_loadu_si512(sums + VE_TILE_SIDE * j);
    write_pixel(p->writer, pixel, registers, vectors, codes_only);
  }
  p->sums = sums;
  p->at = end;
}

// Writes at most `most` pixels.
VE_INLINE void write_some(pending *p, int32_t most) {
  const int32_t end = p->end - p->at < most ? p->end : p->at + most;
  if (p->at == end) return;
  if (p->vectors == 2) {
    if (p->writer->codes_only)
      write_run(p, end, 2, true);
    else
      write_run(p, end, 2, false);
  } else {
    if (p->writer->codes_only)
      write_run(p, end, 1, true);
    else
      write_run(p, end, 1, false);
  }
}

// MARK: - Products

// Adds the products of one step for 16 x `down` pixels and 16 x `across` channels.
VE_INLINE void add_step(
    const uint8_t *codes, ptrdiff_t pixel_bytes, const int8_t *weights, ptrdiff_t tile_bytes, const int down,
    const int across) {
  _tile_loadd(4, codes, pixel_bytes);
  _tile_loadd(6, weights, VE_TILE_ROW);
  _tile_dpbusd(0, 4, 6);
  if (across > 1) {
    _tile_loadd(7, weights + tile_bytes, VE_TILE_ROW);
    _tile_dpbusd(1, 4, 7);
  }
  if (down > 1) {
    _tile_loadd(5, codes + VE_TILE_SIDE * pixel_bytes, pixel_bytes);
    _tile_dpbusd(2, 5, 6);
    if (across > 1) _tile_dpbusd(3, 5, 7);
  }
}

// Computes the sums of a block for 16 x `down` pixels from `x`, [pixel][16 x across], while writing `before`.
VE_INLINE void block_sums(
    const ve_tile_row_args *args, const ve_block *block, int32_t x, int32_t *sums, pending *before, const int down,
    const int across) {
  const ptrdiff_t tile_bytes = args->depth * VE_TILE_SIDE;
  const int32_t *bias = args->bias + block->first_channel;
  const int8_t *weights =
      args->weights + (ptrdiff_t)block->first_channel * args->runs * args->steps * args->depth;
  const int32_t total = args->runs * args->steps;
  const int32_t share = (before->end - before->at + total - 1) / total;
  // A stride of zero repeats a row: all pixels start with the biases.
  _tile_loadd(0, bias, 0);
  if (across > 1) _tile_loadd(1, bias + VE_TILE_SIDE, 0);
  if (down > 1) _tile_loadd(2, bias, 0);
  if (down > 1 && across > 1) _tile_loadd(3, bias + VE_TILE_SIDE, 0);
  for (int32_t run = 0; run < args->runs; run++) {
    const uint8_t *codes = args->rows[run] + (ptrdiff_t)x * args->channels_in;
    for (int32_t step = 0; step < args->steps; step++) {
      add_step(codes, args->channels_in, weights, tile_bytes, down, across);
      codes += args->depth;
      weights += across * tile_bytes;
      write_some(before, share);
    }
  }
  enum { bytes = VE_TILE_SIDE * sizeof *sums };
  int32_t *lower = sums + VE_TILE_SIDE * VE_TILE_SIDE * across;
  _tile_stored(0, sums, across * bytes);
  if (across > 1) _tile_stored(1, sums + VE_TILE_SIDE, across * bytes);
  if (down > 1) _tile_stored(2, lower, across * bytes);
  if (down > 1 && across > 1) _tile_stored(3, lower + VE_TILE_SIDE, across * bytes);
}

static void row(const ve_tile_row_args *args) {
  enum { pixels = VE_TILES * VE_TILE_SIDE };
  _Alignas(VE_ALIGNMENT) int32_t sums[2][pixels * VE_TILES * VE_TILE_SIDE];
  writer writers[VE_MAX_TILE_BLOCKS];
  for (int32_t b = 0; b < args->block_count; b++)
    if (args->blocks[b].vectors == 2)
      make_writer(&writers[b], &args->epilogues[b], 2);
    else
      make_writer(&writers[b], &args->epilogues[b], 1);
  pending before = {0};
  int current = 0;
  for (int32_t x = 0; x < args->pixels; x += pixels) {
    const int32_t end = args->pixels - x < pixels ? args->pixels : x + pixels;
    const bool down = end - x > VE_TILE_SIDE;
    // All channels of some pixels before the next pixels: the codes stay in L1.
    for (int32_t b = 0; b < args->block_count; b++, current ^= 1) {
      const ve_block *block = &args->blocks[b];
      if (block->vectors == 2)
        down ? block_sums(args, block, x, sums[current], &before, 2, 2)
             : block_sums(args, block, x, sums[current], &before, 1, 2);
      else
        down ? block_sums(args, block, x, sums[current], &before, 2, 1)
             : block_sums(args, block, x, sums[current], &before, 1, 1);
      before = (pending){&writers[b], block->vectors, sums[current], x, end};
    }
  }
  write_some(&before, pixels);
}
