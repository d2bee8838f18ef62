// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

let supportedIsas = (0..<UInt32(VE_ISA_COUNT)).map { ve_isa(rawValue: $0) }.filter(ve_isa_supported)

func name(_ isa: ve_isa) -> String { String(cString: ve_isa_name(isa)) }

@Suite struct IsaTests {
  /// If detection always failed, all comparisons below would pass without testing anything.
  @Test func bestInstructionSetIsDetected() {
    print("kernels tested on:", supportedIsas.map(name).joined(separator: ", "))
    #expect(supportedIsas.contains(VE_ISA_SCALAR))
    #expect(supportedIsas.contains(ve_isa_best()))
    #if arch(x86_64) || arch(arm64)
      #expect(supportedIsas.count > 1, "no vector kernels on this processor")
    #endif
  }

  @Test func namesAreDistinct() {
    #expect(Set(supportedIsas.map(name)).count == supportedIsas.count)
    #expect(name(ve_isa(rawValue: 99)) == "unknown")
    #expect(!ve_isa_supported(ve_isa(rawValue: 99)))
  }

  /// Every limit selects the best instruction set up to it. Tests that name an instruction set are not
  /// affected.
  @Test func limitStepsDown() {
    defer { ve_isa_limit(ve_isa(rawValue: UInt32(VE_ISA_COUNT))) }
    for limit in 0..<UInt32(VE_ISA_COUNT) {
      ve_isa_limit(ve_isa(rawValue: limit))
      #expect(ve_isa_best() == supportedIsas.last { $0.rawValue <= limit })
    }
  }

  /// AMX uses the epilogue of AVX512-VNNI, so it is only supported together with it.
  @Test func amxImpliesItsEpilogue() {
    #expect(name(VE_ISA_AMX) == "amx")
    if supportedIsas.contains(VE_ISA_AMX) {
      #expect(supportedIsas.contains(VE_ISA_AVX512VNNI))
      #expect(ve_peak_tdpbusd(0.02) > ve_peak_vpdpbusd(0.02))
    } else {
      #expect(ve_peak_tdpbusd(0.02) == 0)
    }
  }

  @Test func peaksAreMeasured() {
    if supportedIsas.contains(VE_ISA_AVXVNNI) || supportedIsas.contains(VE_ISA_AVX512VNNI) {
      let dot = ve_peak_vpdpbusd(0.02)
      let float = ve_peak_fp32(0.02)
      print("peaks, 10^9 multiply-adds a second: u8 x s8 \(dot), fp32 \(float)")
      #expect(dot > 0 && float > 0)
    }
  }
}
