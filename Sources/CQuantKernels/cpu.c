// SPDX-License-Identifier: Apache-2.0
// Detects the instruction sets that the processor and operating system
// support, and selects their kernels.
#define _DEFAULT_SOURCE  // syscall
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tiles.h"
#include "winograd.h"

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

// Linux saves a thread's tile data (8 KB) only in processes that have requested it. It denies the request if an alternative
// signal stack is too small for that data; versions before 5.16 do not support the request.
static bool tiles_are_permitted(void) {
  enum { request_permission = 0x1023, tile_data = 18 };
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#else
static bool tiles_are_permitted(void) { return false; }
#endif

// CPUID only reports the processor's features; XCR0 reports which registers
// the operating system saves on a context switch.
static uint64_t saved_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static bool detect(ve_isa isa) {
  enum { ymm_state = 0x06, zmm_state = 0xE6, tile_state = 0x60000 };
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const bool os_saves_state = c >> 27 & 1, fma = c >> 12 & 1;
  if (!os_saves_state || !fma) return false;
  const uint64_t saved = saved_registers();
  if ((saved & ymm_state) != ymm_state) return false;

  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const uint32_t subleaves = a;
  const bool avx2 = b >> 5 & 1;
  const bool avx512 = (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);  // F DQ BW VL
  const bool avx512vnni = avx512 && (c >> 11 & 1) && (saved & zmm_state) == zmm_state;
  const bool amx = (d >> 24 & 1) && (d >> 25 & 1) && (saved & tile_state) == tile_state;  // TILE INT8
  if (!avx2) return false;

  switch (isa) {
    case VE_ISA_AVX2:
      return true;
    case VE_ISA_AVXVNNI:
      return subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
    case VE_ISA_AVX512VNNI:
      return avx512vnni;
    case VE_ISA_AMX:
      // Its epilogue is AVX512VNNI's.
      return amx && avx512vnni && tiles_are_permitted();
    default:
      return false;
  }
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static bool detect(ve_isa isa) {
  const unsigned long dot_products = 1ul << 20, matrix_products = 1ul << 13;  // HWCAP_ASIMDDP, HWCAP2_I8MM
  switch (isa) {
    case VE_ISA_NEONDOT: return getauxval(AT_HWCAP) & dot_products;
    case VE_ISA_NEONI8MM: return getauxval(AT_HWCAP2) & matrix_products;
    default: return false;
  }
}
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static bool detect(ve_isa isa) {
  int has = 0;
  size_t bytes = sizeof has;
  switch (isa) {
    // All of Apple's arm64 processors that run macOS have dot products.
    case VE_ISA_NEONDOT: return true;
    case VE_ISA_NEONI8MM: return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &bytes, NULL, 0) == 0 && has != 0;
    default: return false;
  }
}
#else
static bool detect(ve_isa isa) {
  (void)isa;
  return false;
}
#endif

bool ve_isa_supported(ve_isa isa) {
  // In a virtual machine, CPUID traps for some microseconds, so it is queried
  // once. Threads that race here store the same bits.
  const unsigned known = 1u << 31;
  static atomic_uint cache;
  unsigned flags = atomic_load_explicit(&cache, memory_order_relaxed);
  if (!flags) {
    flags = known | 1u << VE_ISA_SCALAR;
    for (int i = VE_ISA_SCALAR + 1; i < VE_ISA_COUNT; i++)
      flags |= (unsigned)detect((ve_isa)i) << i;
    atomic_store_explicit(&cache, flags, memory_order_relaxed);
  }
  return isa >= 0 && isa < VE_ISA_COUNT && (flags >> isa & 1);
}

const char *ve_isa_name(ve_isa isa) {
  switch (isa) {
    case VE_ISA_SCALAR: return "scalar";
    case VE_ISA_AVX2: return "avx2";
    case VE_ISA_AVXVNNI: return "avxvnni";
    case VE_ISA_AVX512VNNI: return "avx512vnni";
    case VE_ISA_AMX: return "amx";
    case VE_ISA_NEONDOT: return "neondot";
    case VE_ISA_NEONI8MM: return "neoni8mm";
  }
  return "unknown";
}

static atomic_int limit = VE_ISA_COUNT;  // none

void ve_isa_limit(ve_isa isa) { atomic_store_explicit(&limit, (int)isa, memory_order_relaxed); }

ve_isa ve_isa_best(void) {
  int best = atomic_load_explicit(&limit, memory_order_relaxed);
  if (best >= VE_ISA_COUNT) {
    best = VE_ISA_COUNT - 1;
    const char *cap = getenv("VIDENHANCE_ISA");
    for (int isa = 0; cap && isa < VE_ISA_COUNT; isa++)
      if (strcmp(cap, ve_isa_name((ve_isa)isa)) == 0) best = isa;
  }
  while (!ve_isa_supported((ve_isa)best)) best--;
  return (ve_isa)best;
}

// Entries shared by several tables.
#define VE_SCALAR_MOTION                           \
  .motion_search = ve_motion_search_scalar,        \
  .motion_neighbour = ve_motion_neighbour_scalar,  \
  .interp_search = ve_interp_search_scalar,        \
  .interp_refine = ve_interp_refine_scalar,        \
  .interp_warp = ve_interp_warp_scalar
#define VE_AVX2_MOTION                             \
  .motion_search = ve_motion_search_avx2,          \
  .motion_neighbour = ve_motion_neighbour_avx2,    \
  .interp_search = ve_interp_search_avx2,          \
  .interp_refine = ve_interp_refine_avx2,          \
  .interp_warp = ve_interp_warp_avx2

static const ve_kernels scalar_kernels = {
    .lanes = 8,
    .block_vectors = 4,
    .accumulate = ve_accumulate_scalar,
    .layout = VE_WEIGHTS_QUADS,
    .epilogue = ve_epilogue_scalar,
    .requantize = ve_requantize_scalar,
    .attention = ve_attention_scalar,
    .winograd = &ve_winograd_scalar,
    VE_SCALAR_MOTION,
};

#if defined(__aarch64__)
// What both rungs of arm64 share; the compiler vectorises motion with NEON.
#define VE_NEON_BASE \
  .lanes = 4, .block_vectors = 4, .epilogue = ve_epilogue_neondot, .requantize = ve_requantize_neondot, \
  .attention = ve_attention_neondot, VE_SCALAR_MOTION

static const ve_kernels neondot_kernels = {
    VE_NEON_BASE,
    .signed_codes = true,
    .accumulate = ve_accumulate_neondot,
    .layout = VE_WEIGHTS_QUADS,
    .winograd = &ve_winograd_neondot,
};

static const ve_kernels neoni8mm_kernels = {
    VE_NEON_BASE,
    .accumulate = ve_accumulate_neoni8mm,
    .layout = VE_WEIGHTS_EIGHTS,
    .winograd = &ve_winograd_neoni8mm,
};
#endif

#if defined(__x86_64__)
static const ve_kernels avx2_kernels = {
    .lanes = 8,
    .block_vectors = 4,
    .accumulate = ve_accumulate_avx2,
    .layout = VE_WEIGHTS_PAIRS,
    .accumulate_narrow = ve_accumulate_narrow_avx2,
    .narrow_steps = 4,
    .epilogue = ve_epilogue_avx2,
    .requantize = ve_requantize_avx2,
    .attention = ve_attention_avx2,
    .winograd = &ve_winograd_avx2,
    .winograd_words = &ve_winograd_words_avx2,
    VE_AVX2_MOTION,
};

static const ve_kernels avxvnni_kernels = {
    .lanes = 8,
    .block_vectors = 4,
    .accumulate = ve_accumulate_avxvnni,
    .layout = VE_WEIGHTS_QUADS,
    .epilogue = ve_epilogue_avx2,
    .requantize = ve_requantize_avx2,
    .attention = ve_attention_avx2,
    .winograd = &ve_winograd_avxvnni,
    VE_AVX2_MOTION,
};

// AMX only replaces the direct algorithm.
#define VE_AVX512_BASE \
  .lanes = 16, .block_vectors = 4, .accumulate = ve_accumulate_avx512vnni, .layout = VE_WEIGHTS_QUADS, \
  .epilogue = ve_epilogue_avx512vnni, .requantize = ve_requantize_avx512vnni, \
  .attention = ve_attention_avx512vnni, .winograd = &ve_winograd_avx512vnni, VE_AVX2_MOTION

static const ve_kernels avx512vnni_kernels = {VE_AVX512_BASE};

static const ve_kernels amx_kernels = {VE_AVX512_BASE, .tiles = &ve_tiles_amx};
#endif

const ve_kernels *ve_kernels_for(ve_isa isa) {
  if (!ve_isa_supported(isa)) return NULL;
#if defined(__x86_64__)
  switch (isa) {
    case VE_ISA_AVX2: return &avx2_kernels;
    case VE_ISA_AVXVNNI: return &avxvnni_kernels;
    case VE_ISA_AVX512VNNI: return &avx512vnni_kernels;
    case VE_ISA_AMX: return &amx_kernels;
    default: break;
  }
#elif defined(__aarch64__)
  if (isa == VE_ISA_NEONDOT) return &neondot_kernels;
  if (isa == VE_ISA_NEONI8MM) return &neoni8mm_kernels;
#endif
  return &scalar_kernels;
}
