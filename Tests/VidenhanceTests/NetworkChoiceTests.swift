// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Testing
import Videnhance

/// The network that is chosen for a source and a size.
@Suite struct NetworkChoiceTests {
  private func step(_ scale: Int, _ source: SourceKind) -> EnhancementStep {
    let choice = NetworkChoice(.superResolution, scale: scale, bits: .four, source: source)
    return .network(choice, noiseLevel: nil, rate: .factor(2), goal: nil)
  }

  /// For real footage there is only an x2 network; four times the size is reached by resampling.
  @Test(arguments: [(SourceKind.real, 2), (.clean, 4)]) func fourTimesTheSize(
    source: SourceKind, scale: Int
  ) throws {
    let four = step(4, source)
    #expect(four.goal == (source == .real ? .factor(4) : nil))
    let network = try four.sizedNetwork.map { try $0(4)(64, 48, 1) } ?? four.network(64, 48, 1)
    #expect(network.architecture.scale == scale)
    #expect(step(2, source).goal == nil)
    // The automatic choice gives the same after a survey of the source.
    let survey = SourceSurvey(codecName: "h264", isMaster: false, quantizer: source == .real ? 35 : 10)
    let adapt = try #require(step(4, .auto).adapted)
    let adapted = adapt(survey)
    #expect(adapted.goal == four.goal && adapted.identity == four.identity)
  }
}
