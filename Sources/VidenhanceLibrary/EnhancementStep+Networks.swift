// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import EnhancementPipeline

extension EnhancementStep {
  /// A step that runs a network of the catalog. Of the shipped networks for super-resolution, the one for twice the size
  /// makes the frames if that is enough, else the one for four times; a resampler does the rest.
  /// - Parameters:
  ///   - conditions: what is known of the source; the rest is estimated.
  ///   - rate: for interpolation: the output frame rate.
  ///   - goal: for super-resolution: the output size; nil is the size by `choice.scale`.
  package static func network(
    _ choice: NetworkChoice, given conditions: WindowConditions = WindowConditions(),
    rate: InterpolationRate = .factor(2), goal: SizeGoal? = nil
  ) -> EnhancementStep {
    if let enlarging = choice.enlargingForRestoration {
      return restoration(choice, by: enlarging, given: conditions)
    }
    var step = plain(choice, conditions, rate: rate)
    if choice.source == .auto && choice.modelFile == nil {
      step.adapted = { network(choice.adapted(to: $0), given: conditions, rate: rate, goal: goal) }
    }
    guard choice.task == .superResolution else { return step }
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

  /// A step that restores by the resampled frames of another network.
  private static func restoration(
    _ choice: NetworkChoice, by enlarging: NetworkChoice, given conditions: WindowConditions
  ) -> EnhancementStep {
    var step = network(enlarging, given: conditions, goal: .source)
    (step.restores, step.scale) = (true, 1)
    if step.adapted != nil { step.adapted = { network(choice.adapted(to: $0), given: conditions) } }
    return step
  }

  /// A step that runs one network, whatever the source.
  private static func plain(
    _ choice: NetworkChoice, _ conditions: WindowConditions, rate: InterpolationRate
  ) -> EnhancementStep {
    let noise = conditions.noiseLevel.map { "\($0)" } ?? "auto"
    var step = EnhancementStep(
      rate: rate, conditions: conditions, identity: "\(choice.identity), noise \(noise)"
    ) { width, height, threads in
      try NetworkCatalog.network(choice, width: width, height: height, threads: threads)
    }
    // The bits of a model file are part of its content.
    step.bits = choice.modelFile == nil && !choice.isMotionAlone ? (choice.bits ?? .four).rawValue : nil
    step.restores = choice.task == .restoration
    step.takesQuantizer = choice.task == .superResolution || choice.task == .restoration
    step.scale =
      choice.task == .superResolution ? choice.scale ?? (choice.modelFile == nil ? 2 : nil) : 1
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
    network(NetworkChoice(.denoising, bits: bits), given: WindowConditions(noiseLevel: level))
  }
}
