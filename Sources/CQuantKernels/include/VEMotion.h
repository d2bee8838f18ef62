// SPDX-License-Identifier: Apache-2.0
// Block motion between two luma planes: whole-pixel vectors by a predictive search, then a fraction in sixteenths of a
// pixel by Lucas-Kanade; and the network input for the aligned neighbouring frame. All in integers (the 2 x 2 system of
// Lucas-Kanade is solved in double precision and rounded), so results are identical on every machine.
#ifndef VE_MOTION_H
#define VE_MOTION_H

#include <stddef.h>
#include <stdint.h>

#include "VEInstructionSet.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Side of a block in luma pixels. Costs are computed over the 16 x 16 pixels around it.
#define VE_MOTION_BLOCK 8
/// Greatest whole-pixel displacement along an axis.
#define VE_MOTION_REACH 40
/// Width of the replicated border around a prepared plane in pixels.
#define VE_MOTION_BORDER 48
/// Greatest fraction, in sixteenths of a pixel.
#define VE_MOTION_REMAINDER 8

/// A luma plane prepared for search: copies with a border of the plane, a smoothed version, and one of a quarter of its
/// extents. ve_motion_plane_bytes returns the total size; all pointers are in one block of memory.
typedef struct ve_motion_plane {
  int32_t width, height;
  ptrdiff_t stride; // of luma and smooth, in elements
  ptrdiff_t coarse_stride;
  int32_t coarse_width, coarse_height;
  uint8_t *luma;    // pixel (0, 0)
  int16_t *smooth;  // pixel (0, 0); [1 2 1]^2 / 4: 0 ... 1020
  uint8_t *coarse;  // pixel (0, 0); means of 4 x 4
} ve_motion_plane;

/// Motion of one block: the neighbour's pixel for the reference's (x, y) is (x + dx + rx / 16, y + dy + ry / 16).
typedef struct ve_motion_vector {
  int16_t dx, dy;  // whole pixels
  int8_t rx, ry;   // sixteenths
  uint16_t error;  // sum of absolute differences over 16 x 16 at the whole-pixel vector
} ve_motion_vector;

/// Bytes of a prepared plane of this size.
size_t ve_motion_plane_bytes(int32_t width, int32_t height);
/// Fills `memory` (64-byte aligned) from a contiguous plane, and describes it.
ve_motion_plane ve_motion_plane_prepare(const uint8_t *luma, int32_t width, int32_t height, void *memory);

/// Blocks along an extent.
static inline int32_t ve_motion_blocks(int32_t extent) { return (extent + VE_MOTION_BLOCK - 1) / VE_MOTION_BLOCK; }

/// Motion of every block of `reference` into `neighbour` (equal sizes), row by row.
/// - prior: vectors of another, nearer neighbour, used as candidates after multiplication by `prior_factor`; may be NULL.
/// - isa: a supported instruction set; results are identical.
void ve_motion_search(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                      const ve_motion_vector *prior, int32_t prior_factor, ve_motion_vector *vectors, ve_isa isa);

/// Channels of a packed neighbour: 6 samples, 6 times each of rx, ry, rx ry, rx^2, ry^2 modulations, 2 of match quality.
#define VE_NEIGHBOUR_CHANNELS 38

/// Writes rows row_begin ..< row_end of the grid (half resolution): for each point the aligned neighbour's packed samples
/// (codes), their modulations by the fraction (128 = zero), and the match quality of block and samples (128 = equal).
/// - chroma: contiguous U and V planes of the neighbour, of half the extents.
/// - result: grid point (0, 0); strides in bytes; `pixel_stride` at least VE_NEIGHBOUR_CHANNELS.
void ve_motion_neighbour(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                         const uint8_t *const chroma[2], const ve_motion_vector *vectors, uint8_t *result,
                         ptrdiff_t pixel_stride, ptrdiff_t row_stride, int32_t row_begin, int32_t row_end,
                         ve_isa isa);

#ifdef __cplusplus
}
#endif

#endif
