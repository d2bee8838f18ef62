// SPDX-License-Identifier: Apache-2.0
package import CQuantKernels

/// Instruction sets of the integer kernels.
package enum InstructionSet: Int32, Sendable, CaseIterable {
  /// Portable C, the reference with which all others agree.
  case scalar = 0
  /// AVX2 without dot products.
  case avx2 = 1
  /// 256-bit dot products.
  case avxvnni = 2
  /// 512-bit dot products.
  case avx512vnni = 3
  /// 128-bit dot products of arm64.
  case neondot = 4

  /// The fastest on this machine, limited by `limit(to:)`, or else by the environment variable VIDENHANCE_ISA.
  package static var best: InstructionSet {
    InstructionSet(rawValue: Int32(ve_isa_best().rawValue)) ?? .scalar
  }
  /// Whether this machine supports it.
  package var isSupported: Bool { ve_isa_supported(handle) }
  /// The instruction sets that this machine supports.
  package static var supported: [InstructionSet] { allCases.filter(\.isSupported) }
  /// Limits networks that are created from now on to `set`, in the whole process.
  package static func limit(to set: InstructionSet) { ve_isa_limit(set.handle) }
  /// Its name in VIDENHANCE_ISA.
  package var name: String { String(cString: ve_isa_name(handle)) }

  package var handle: ve_isa { ve_isa(rawValue: UInt32(rawValue)) }
}

/// Peak performance of this machine on one thread.
package enum MachinePeak {
  /// u8 x s8 dot products in billions of multiply-accumulates per second; 0 without VNNI.
  package static func integerDotProducts(seconds: Double = 0.2) -> Double { ve_peak_vpdpbusd(seconds) }
  /// 32-bit floating-point fused multiply-adds likewise; 0 if not measured.
  package static func floatMultiplyAdds(seconds: Double = 0.2) -> Double { ve_peak_fp32(seconds) }
}
