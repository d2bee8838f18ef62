// SPDX-License-Identifier: Apache-2.0
// Motion of a frame between two others: one vector for every block of the new instant, found by a symmetric
// coarse-to-fine search in both frames, and the two frames warped by it. All in integers (the 2 x 2 systems of
// Lucas-Kanade are solved in double precision and rounded), so results are identical on every machine.
#ifndef VE_INTERPOLATION_H
#define VE_INTERPOLATION_H

#include <stddef.h>
#include <stdint.h>

#include "VEInstructionSet.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Side of a block in luma pixels.
#define VE_INTERP_BLOCK 8
/// Levels of a pyramid; each has half the extents of the previous one.
#define VE_INTERP_LEVELS 4
/// Width of the replicated border around each level in pixels.
#define VE_INTERP_BORDER 32
/// The unit of instants: 0 is the first frame, VE_INTERP_ONE the second.
#define VE_INTERP_ONE 256

/// A luma plane's pyramid; all pointers are in one block of memory.
typedef struct ve_interp_plane {
  int32_t width[VE_INTERP_LEVELS], height[VE_INTERP_LEVELS];
  ptrdiff_t stride[VE_INTERP_LEVELS];
  uint8_t *luma[VE_INTERP_LEVELS];  // pixel (0, 0)
} ve_interp_plane;

/// Displacement of a block from the first frame to the second, in sixteenths of a luma pixel.
typedef struct ve_interp_vector {
  int16_t x, y;
  uint16_t error;  // mean absolute difference over 16 x 16, in sixteenths of a level
  uint16_t disorder;  // largest difference from a neighbour's vector along an axis, in sixteenths of a pixel
} ve_interp_vector;

/// Bytes of a pyramid of this size.
size_t ve_interp_plane_bytes(int32_t width, int32_t height);
/// Fills `memory` (64-byte aligned) from a contiguous plane, and describes it.
ve_interp_plane ve_interp_plane_prepare(const uint8_t *luma, int32_t width, int32_t height, void *memory);

/// Blocks along an extent.
static inline int32_t ve_interp_blocks(int32_t extent) { return (extent + VE_INTERP_BLOCK - 1) / VE_INTERP_BLOCK; }

/// Finds the motion of every block at the instant `time` (1 ... VE_INTERP_ONE - 1), row by row, in whole pixels.
/// - isa: a supported instruction set; results are identical.
/// - Returns: 0, or -1 if out of memory.
int ve_interp_search(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                     ve_interp_vector *vectors, ve_isa isa);

/// Refines those vectors to sixteenths and computes their errors, for rows row_begin ..< row_end of blocks. Bands of rows
/// may be refined concurrently.
void ve_interp_refine(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                      ve_interp_vector *vectors, int32_t row_begin, int32_t row_end, ve_isa isa);

/// Computes the disorder of refined vectors.
void ve_interp_disorder(ve_interp_vector *vectors, int32_t columns, int32_t rows);

/// A plane of 8-bit or wider samples to warp.
typedef struct ve_interp_source {
  const void *samples;
  ptrdiff_t stride;  // in samples
  int32_t width, height;
  int32_t log2_x, log2_y;  // luma pixels to samples
  int32_t depth;
  int32_t is_wide;  // samples are uint16_t
} ve_interp_source;

/// Warps rows row_begin ..< row_end of a plane to the instant: overlapped blocks, six-tap interpolation at sixteenths, and
/// a share of the unmoved frame where nothing matches.
/// - is_second: whether the source is the second frame.
/// - vectors: for luma of `luma_width` x `luma_height`.
/// - result: samples like the source's, with a row stride of `result_stride` samples.
void ve_interp_warp(const ve_interp_source *source, int32_t luma_width, int32_t luma_height,
                    const ve_interp_vector *vectors, int32_t time, int32_t is_second, void *result,
                    ptrdiff_t result_stride, int32_t row_begin, int32_t row_end, ve_isa isa);

#ifdef __cplusplus
}
#endif

#endif
