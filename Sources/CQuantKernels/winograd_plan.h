// SPDX-License-Identifier: Apache-2.0
// What making a Winograd plan (winograd_plan.c) and running it
// (winograd_run.c) share.
#ifndef VE_WINOGRAD_PLAN_H
#define VE_WINOGRAD_PLAN_H

#include "plan.h"
#include "winograd.h"

struct ve_winograd_plan {
  ve_transform transform;
  const ve_transform_traits *traits;
  const ve_winograd_kernels *kernels;
  int32_t int16_steps;
  int32_t depth;  // products a slot: channels, of VE_F2X1 times taps
  int8_t *u;  // [block][column][slot], then as ve_winograd_products_args
  int32_t *constants;  // [output][2][constants_row]
  ptrdiff_t constants_row;  // all channels, padded
  ptrdiff_t v_tile, v_row, v_slot;
};

/// Columns in the order of their computation, which is the order of packing.
extern const int32_t ve_winograd_column_order[VE_TRANSFORM_COUNT][6];

/// Bytes of transformed weights of one lane.
size_t ve_winograd_lane_bytes(const ve_conv3x3 *plan, const ve_winograd_plan *winograd);

/// Up to a multiple of VE_ALIGNMENT.
VE_INLINE size_t ve_rounded_up(size_t bytes) {
  return (bytes + VE_ALIGNMENT - 1) / VE_ALIGNMENT * VE_ALIGNMENT;
}

#endif
