// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Testing
import Videnhance

/// The choice among shipped networks.
@Suite struct NetworkChoiceTests {
  @Test(arguments: NetworkBits.allCases) func realFootageHasItsOwnNetworks(bits: NetworkBits) {
    for (scale, tier) in [(2, NetworkTier.balanced), (2, .fast), (4, .balanced)] {
      for (source, ending) in [(SourceKind.real, "-real"), (.clean, "")] {
        let choice = NetworkChoice(.superResolution, scale: scale, bits: bits, tier: tier, source: source)
        #expect(choice.shippedModel.family == "sr-x\(scale)-\(tier.rawValue)\(ending)")
        #expect(choice.shippedModel.path != nil)
      }
    }
  }
}
