// SPDX-License-Identifier: Apache-2.0
// Packing of aligned neighbours for networks: scalar reference.
#include "motion.h"

void ve_motion_neighbour_scalar(const ve_neighbour_args *args) {
  enum { points = VE_MOTION_BLOCK / 2 };
  const int32_t columns = ve_motion_blocks(args->reference->width), width = args->reference->width / 2;
  for (int32_t y = args->row_begin; y < args->row_end; y++) {
    const ve_motion_vector *row = args->vectors + (ptrdiff_t)(y / points) * columns;
    for (int32_t x = 0; x < width; x += points)
      ve_motion_points(args, y, x, x + points < width ? x + points : width, row[x / points]);
  }
}
