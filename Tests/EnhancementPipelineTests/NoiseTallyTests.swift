// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Testing

@testable import EnhancementPipeline

@Suite struct NoiseTallyTests {
  @Test func talliesHaveLowestMedianAndHighest() {
    var tally = NoiseTally()
    #expect(tally.levels?.median == nil)
    for level: Float in [4, 9, 4.5, 5, 4] { tally.add(code: NoiseLevel.code(level)) }
    var other = NoiseTally()
    for level: Float in [5, 5] { other.add(code: NoiseLevel.code(level)) }
    tally.add(other)
    let levels = tally.levels.map { [$0.lowest, $0.median, $0.highest] }
    #expect(levels == [4, 5, 9])
  }
}
