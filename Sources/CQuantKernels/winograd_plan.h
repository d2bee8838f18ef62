// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the creation (winograd_plan.c) and execution
// (winograd_run.c) of Winograd plans.
#ifndef VE_WINOGRAD_PLAN_H
#define VE_WINOGRAD_PLAN_H

#include "plan.h"
#include "winograd.h"

struct ve_winograd_plan {
  ve_transform transform;
  const ve_transform_traits *traits;
  const ve_winograd_kernels *kernels;
  int32_t levels;  // determine the offsets of transformed inputs
  int32_t depth;  // products per slot: channels, for VE_F2X1 times taps
  int32_t padded_depth;  // whole groups of them
  int8_t *u;  // [block][column][slot][part], then as in ve_winograd_products_args; or as given by rows
  // VE_OPERANDS_BYTES_IN_16 only (winograd_rows.c).
  ve_winograd_row *rows;  // [block][column][part][r]
  int32_t parts;  // of the largest block
  ve_winograd_stretch *stretches;
  double mean_stretch;  // quads per stretch
  uint32_t *starts;  // [column][r][constants_row]: initial values of 16-bit sums
  int32_t *constants;  // [output][2][constants_row]
  ptrdiff_t constants_row;  // all channels, padded
  ptrdiff_t v_tile, v_row, v_slot;
};

/// Columns in the order of computation and packing.
extern const int32_t ve_winograd_column_order[VE_TRANSFORM_COUNT][6];

/// A transformed weight from the nine taps; `tap` counts only for VE_F2X1.
int32_t ve_winograd_weight(ve_transform transform, const int8_t *taps, int32_t r, int32_t c, int32_t tap);

/// The common factor of all weights of row r and column c.
int32_t ve_winograd_weight_factor(ve_transform transform, int32_t r, int32_t c);

/// Packs transformed weights for sums of 16 bits; transformed inputs are at most `most_input`.
/// Returns false if out of memory.
bool ve_winograd_make_rows(const ve_conv3x3 *plan, ve_winograd_plan *winograd, const int8_t *weights, int32_t most_input);

/// The part of a block that begins with vector `first`, as a block.
ve_block ve_winograd_part(const ve_conv3x3 *plan, const ve_winograd_plan *winograd, const ve_block *block, int32_t first);

/// Bytes of transformed weights per lane.
size_t ve_winograd_lane_bytes(const ve_conv3x3 *plan, const ve_winograd_plan *winograd);

#endif
