// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import TestSupport
import Testing
import Videnhance

/// The network that is chosen for a source and a size.
@Suite struct NetworkChoiceTests {
  private func step(_ scale: Int, _ source: SourceKind, models: String? = nil) -> EnhancementStep {
    var choice = NetworkChoice(.superResolution, scale: scale, bits: .four, source: source)
    choice.modelFolder = models
    return .network(choice, rate: .factor(2), goal: nil)
  }

  @Test(arguments: NetworkBits.allCases) func realFootageHasItsOwnNetworks(bits: NetworkBits) {
    for (scale, tier) in [(2, NetworkTier.balanced), (2, .fast), (4, .balanced)] {
      for (source, ending) in [(SourceKind.real, "-real"), (.clean, "")] {
        let choice = NetworkChoice(.superResolution, scale: scale, bits: bits, tier: tier, source: source)
        #expect(choice.shippedModel.family == "sr-x\(scale)-\(tier.rawValue)\(ending)")
        #expect(choice.shippedModel.path != nil)
      }
    }
  }

  /// Ensembles differ from single networks when work is resumed.
  @Test func ensemblesAreIdentified() throws {
    func step(_ task: EnhancementTask, _ ensemble: Ensemble) -> EnhancementStep {
      .network(NetworkChoice(task, source: .clean, ensemble: ensemble))
    }
    #expect(
      step(.superResolution, .two).identity
        == step(.superResolution, .one).identity
        .replacing(", noise auto", with: ", ensemble of 2, noise auto"))
    let denoising = try step(.denoising, .four).network(32, 32, 1)
    #expect(denoising is MirroredNetwork)
    let restoration = try step(.restoration, .two).network(32, 32, 1)
    #expect(restoration is MirroredNetwork)
    #expect(
      EnhancementStep.network(NetworkChoice(.interpolation, tier: .fast, ensemble: .two)).identity
        == "interp without network, ensemble of 2, noise auto")
    let interpolation = try step(.interpolation, .four).network(32, 32, 1)
    #expect(interpolation is MirroredNetwork)
    let single = try step(.interpolation, .one).network(32, 32, 1)
    #expect(single is IntegerNetwork)
  }

  /// A tier that is chosen for several tasks holds where there is one. Interpolation needs no network.
  @Test func tasksWithoutATier() throws {
    #expect(EnhancementTask.allCases.map { $0.tier(.best) } == [.best, .best, .balanced, .balanced])
    #expect(EnhancementTask.allCases.map { $0.tier(.fast) } == [.fast, .fast, .balanced, .fast])
    #expect(EnhancementTask.allCases.map { $0.tier(nil) } == [.balanced, .balanced, .balanced, .fast])
    let step = EnhancementStep.network(NetworkChoice(.interpolation, bits: .four, tier: .fast))
    #expect(step.bits == nil)
    #expect(try step.network(32, 32, 1) is BlendNetwork)
    #expect(EnhancementStep.network(NetworkChoice(.interpolation, bits: .four)).bits == 4)
  }

  /// The best tier has networks for x2; otherwise it uses those of the balanced tier.
  @Test(arguments: NetworkBits.allCases) func bestFallsBackToBalanced(bits: NetworkBits) {
    func family(_ task: EnhancementTask, scale: Int? = nil, _ source: SourceKind) -> String {
      let choice = NetworkChoice(task, scale: scale, bits: bits, tier: .best, source: source)
      #expect(choice.shippedModel.path != nil)
      return choice.shippedModel.family
    }
    for task in [EnhancementTask.superResolution, .restoration] {
      #expect(family(task, .real) == "sr-x2-best-real")
      #expect(family(task, .auto) == "sr-x2-best-real")
      #expect(family(task, .clean) == "sr-x2-best")
    }
    #expect(family(.superResolution, scale: 4, .real) == "sr-x4-balanced-real")
    #expect(family(.superResolution, scale: 4, .clean) == "sr-x4-balanced")
  }

  /// Where the best tier has no network for real footage, a smaller one for it is better than one for clean sources.
  @Test func kindMattersMoreThanTier() throws {
    let bench = try Workbench()
    for family in ["sr-x2-best", "sr-x2-balanced-real"] {
      let model = ShippedModel(family: family, bits: .four)
      try FileManager.default.createSymbolicLink(
        atPath: bench.path(model.name + ".safetensors"), withDestinationPath: #require(model.path))
    }
    var choice = NetworkChoice(.superResolution, scale: 2, bits: .four, tier: .best, source: .real)
    choice.modelFolder = bench.directory.path
    #expect(choice.shippedModel.family == "sr-x2-balanced-real")
  }

  @Test(arguments: [SourceKind.real, .clean]) func fourTimesTheSize(source: SourceKind) throws {
    let four = step(4, source)
    #expect(four.goal == nil && step(2, source).goal == nil)
    #expect(try four.network(64, 48, 1).architecture.scale == 4)
    // The automatic choice gives the same after a survey of the source.
    let survey = SourceSurvey(codecName: "h264", isMaster: false, quantizer: source == .real ? 35 : 10)
    let adapt = try #require(step(4, .auto).adapted)
    let adapted = adapt(survey)
    #expect(adapted.goal == four.goal && adapted.identity == four.identity)
  }

  /// If the only network for real footage is that for x2, four times the size is reached by resampling.
  @Test func resamplesWithoutANetworkForFourTimesTheSize() throws {
    let bench = try Workbench()
    let model = ShippedModel(family: "sr-x2-balanced-real", bits: .four)
    try FileManager.default.createSymbolicLink(
      atPath: bench.path(model.name + ".safetensors"), withDestinationPath: #require(model.path))
    let four = step(4, .real, models: bench.directory.path)
    #expect(four.goal == .factor(4))
    let sized = try #require(four.sizedNetwork)
    #expect(try sized(4)(64, 48, 1).architecture.scale == 2)
  }
}
