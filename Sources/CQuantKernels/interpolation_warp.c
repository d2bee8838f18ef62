// SPDX-License-Identifier: Apache-2.0
// Overlapped block warping: scalar reference.
#include "interpolation.h"

#define VE_NAME(job) ve_interp_##job##_scalar
#include "interpolation_warp_tmpl.h"
