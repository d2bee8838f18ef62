// SPDX-License-Identifier: Apache-2.0
#ifndef VE_INSTRUCTION_SET_H
#define VE_INSTRUCTION_SET_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Instruction sets in ascending order of speed. Later ones do not always
/// include earlier ones: a processor may have AVX512-VNNI without AVX-VNNI.
typedef enum ve_isa {
  VE_ISA_SCALAR = 0,
  VE_ISA_AVX2 = 1,
  VE_ISA_AVXVNNI = 2,
  VE_ISA_AVX512VNNI = 3,
  /// Products of whole tiles; everything else as AVX512VNNI.
  VE_ISA_AMX = 4,
  VE_ISA_NEONDOT = 5,
  /// Products of 2 x 8 by 8 x 2 matrices of bytes.
  VE_ISA_NEONI8MM = 6,
} ve_isa;
#define VE_ISA_COUNT 7

/// Whether the processor and operating system support this instruction set. The first call requests permission to use AMX's
/// tile registers, for the whole process.
bool ve_isa_supported(ve_isa isa);

/// The fastest supported instruction set within the limit, which is set by
/// ve_isa_limit(), or else by the environment variable VIDENHANCE_ISA (scalar,
/// avx2, avxvnni, avx512vnni, amx, neondot, neoni8mm).
ve_isa ve_isa_best(void);

/// Sets the limit for the whole process. Kernels that have already been created
/// do not change.
void ve_isa_limit(ve_isa isa);

/// The name in VIDENHANCE_ISA, or "unknown".
const char *ve_isa_name(ve_isa isa);

/// Hints to the processor that this is a spin-wait loop.
static inline void ve_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#ifdef __cplusplus
}
#endif

#endif
