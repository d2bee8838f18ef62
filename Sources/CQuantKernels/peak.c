// SPDX-License-Identifier: Apache-2.0
// Peak performance of the machine: dot products and fused multiply-adds on
// registers only.
#include "kernels.h"

double ve_peak_vpdpbusd(double seconds) {
#if defined(__x86_64__)
  if (ve_isa_supported(VE_ISA_AVX512VNNI)) return ve_peak_vpdpbusd_avx512vnni(seconds);
  if (ve_isa_supported(VE_ISA_AVXVNNI)) return ve_peak_vpdpbusd_avxvnni(seconds);
#endif
  (void)seconds;
  return 0;
}

double ve_peak_tdpbusd(double seconds) {
#if defined(__x86_64__)
  if (ve_isa_supported(VE_ISA_AMX)) return ve_peak_tdpbusd_amx(seconds);
#endif
  (void)seconds;
  return 0;
}

double ve_peak_fp32(double seconds) {
#if defined(__x86_64__)
  if (ve_isa_supported(VE_ISA_AVX512VNNI)) return ve_peak_fp32_avx512vnni(seconds);
  if (ve_isa_supported(VE_ISA_AVX2)) return ve_peak_fp32_avx2(seconds);
#endif
  (void)seconds;
  return 0;
}
