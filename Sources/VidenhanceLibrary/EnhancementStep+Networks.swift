// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import EnhancementPipeline

extension EnhancementStep {
  /// A step that runs a network of the catalog.
  /// - Parameter noiseLevel: for denoising: standard deviation in 8-bit levels; nil estimates it from the frames.
  /// - Parameter rate: for interpolation: the output frame rate.
  package static func network(
    _ choice: NetworkChoice, noiseLevel: Float? = nil, rate: InterpolationRate = .factor(2)
  ) -> EnhancementStep {
    let noise = noiseLevel.map { "\($0)" } ?? "auto"
    var step = EnhancementStep(
      rate: rate, conditions: WindowConditions(noiseLevel: noiseLevel),
      identity: "\(choice.identity), noise \(noise)"
    ) { width, height, threads in
      try NetworkCatalog.network(choice, width: width, height: height, threads: threads)
    }
    step.restores = choice.task == .restoration
    if choice.source == .auto && choice.modelFile == nil {
      step.adapted = { network(choice.adapted(to: $0), noiseLevel: noiseLevel, rate: rate) }
    }
    return step
  }

  /// Upscales by `scale` (2 or 4) with a shipped network.
  package static func superResolution(
    scale: Int = 2, bits: NetworkBits = .four, tier: NetworkTier = .balanced, source: SourceKind = .auto
  ) -> EnhancementStep {
    network(NetworkChoice(.superResolution, scale: scale, bits: bits, tier: tier, source: source))
  }

  /// Removes noise with a shipped network.
  /// - Parameter level: its standard deviation in 8-bit levels; nil estimates it from the frames.
  package static func denoising(level: Float? = nil, bits: NetworkBits = .four) -> EnhancementStep {
    network(NetworkChoice(.denoising, bits: bits), noiseLevel: level)
  }

  /// Interpolates frames with a shipped network.
  package static func interpolation(_ rate: InterpolationRate = .factor(2), bits: NetworkBits = .four)
    -> EnhancementStep
  {
    network(NetworkChoice(.interpolation, bits: bits), rate: rate)
  }
}
