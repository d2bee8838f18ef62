// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import TestSupport
import Testing

/// Motion compensation alone.
@Suite struct BlendNetworkTests {
  /// The frames are warped as for a network, and nothing is added to their blend.
  @Test(arguments: [1, 100, 128, 255]) func warpsLikeANetworkAndAddsNothing(instant: Int) throws {
    let window = (0..<2).map { texturedFrame(width: 38, height: 26, seed: 5, x: Double($0) * 3.3) }
    var architecture = Architecture.small(window: 2, encoderChannels: 16, channels: 32, scale: 1)
    architecture.task = .interpolation
    let model = QuantizedModel.random(architecture, bits: 4, zeroPoints: false, seed: 12)
    let network = try IntegerNetwork(model, width: 38, height: 26, threads: 1)
    let expected = try network.predict(window, at: instant, given: WindowConditions(), profile: nil)
    let found = BlendNetwork(width: 38, height: 26, threads: 2)
      .predict(window, at: instant, given: WindowConditions(), profile: nil)
    #expect(values(found.residual).count == 19 * 13 * 6)
    #expect(values(found.residual).allSatisfy { $0 == 0 })
    let (wanted, made) = (try #require(expected.alignment), try #require(found.alignment))
    for (a, b) in zip(made.warped, wanted.warped) {
      #expect((0..<38 * 26).allSatisfy { a.luma[$0] == b.luma[$0] })
      for plane in 0..<2 { #expect((0..<19 * 13).allSatisfy { a.chroma[plane][$0] == b.chroma[plane][$0] }) }
      withExtendedLifetime((a, b)) {}
    }
    #expect(made.warped.count == 2)
  }
}
