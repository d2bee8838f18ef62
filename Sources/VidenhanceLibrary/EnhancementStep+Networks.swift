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
    // A file's are part of its content.
    step.bits = choice.modelFile == nil ? (choice.bits ?? .four).rawValue : nil
    step.restores = choice.task == .restoration
    step.scale =
      choice.task == .superResolution ? choice.scale ?? (choice.modelFile == nil ? 2 : nil) : 1
    if choice.source == .auto && choice.modelFile == nil {
      step.adapted = { network(choice.adapted(to: $0), noiseLevel: noiseLevel, rate: rate) }
    }
    return step
  }

  /// A step whose frames get a size after the network. Of the shipped networks, the one for twice the size makes them if
  /// that is enough, else the one for four times; a resampler does the rest.
  /// - Parameter goal: for super-resolution; nil is the size by `choice.scale`.
  package static func network(
    _ choice: NetworkChoice, noiseLevel: Float?, rate: InterpolationRate, goal: SizeGoal?
  ) -> EnhancementStep {
    var step = network(choice, noiseLevel: noiseLevel, rate: rate)
    guard choice.task == .superResolution else { return step }
    if step.adapted != nil {
      step.adapted = { network(choice.adapted(to: $0), noiseLevel: noiseLevel, rate: rate, goal: goal) }
    }
    let scales = choice.scales
    let wanted = choice.scale ?? 2
    guard let goal = goal ?? (scales.contains(wanted) ? nil : .factor(Double(wanted))) else { return step }
    step.goal = goal
    if choice.modelFile == nil {
      let choices = scales.map { scale in
        var result = choice
        result.scale = scale
        return result
      }
      step.identity = choices.map(\.identity).joined(separator: ", ")
      step.sizedNetwork = { scale in
        let choice = choices.last { $0.scale ?? 2 <= scale } ?? choices[0]
        return { try NetworkCatalog.network(choice, width: $0, height: $1, threads: $2) }
      }
    }
    step.identity += ", to \(goal)"
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
