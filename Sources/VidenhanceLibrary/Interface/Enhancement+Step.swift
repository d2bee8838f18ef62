// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
public import Foundation

extension Enhancement {
  /// One step of an enhancement.
  public struct Step: Sendable {
    private var choice: NetworkChoice
    private var noiseLevel: Float?
    private var strength: Float = 1
    private var rate = InterpolationRate.factor(2)
    private var smooths = true

    /// Upscales with a shipped network.
    public static func superResolution(
      _ network: UpscalingNetwork = .x2, bits: NetworkBits = .four, source: SourceKind = .auto
    ) -> Step {
      Step(
        choice: NetworkChoice(
          .superResolution, scale: network.scale, bits: bits, tier: network.tier, source: source))
    }

    /// Removes noise with a shipped network; the noise level is estimated from the frames.
    public static func denoising(bits: NetworkBits = .four) -> Step {
      Step(choice: NetworkChoice(.denoising, bits: bits))
    }

    /// Removes noise with a shipped network.
    /// - Parameters:
    ///   - level: standard deviation of the noise in 8-bit levels, 0 to 63.
    ///   - bits: bit width of the network.
    /// - Throws: `UsageError.noiseLevel`.
    public static func denoising(level: Float, bits: NetworkBits = .four) throws(UsageError) -> Step {
      guard (0...NoiseLevel.most).contains(level) else { throw .noiseLevel(level) }
      return Step(choice: NetworkChoice(.denoising, bits: bits), noiseLevel: level)
    }

    /// Removes noise with a shipped network, more or less of it than is estimated from the frames.
    /// - Parameters:
    ///   - strength: what the estimated level is multiplied by, 0 to 2.
    ///   - bits: bit width of the network.
    /// - Throws: `UsageError.strength`.
    public static func denoising(strength: Float, bits: NetworkBits = .four) throws(UsageError) -> Step {
      guard (0...WindowConditions.mostStrength).contains(strength) else { throw .strength(strength) }
      return Step(choice: NetworkChoice(.denoising, bits: bits), strength: strength)
    }

    /// Interpolates frames.
    /// - Parameters:
    ///   - rate: output frame rate.
    ///   - method: by motion compensation alone, or corrected by a shipped network.
    ///   - bits: bit width of the network.
    public static func interpolation(
      _ rate: FrameRateChange = .double, method: InterpolationMethod = .motion, bits: NetworkBits = .four
    ) -> Step {
      Step(choice: NetworkChoice(.interpolation, bits: bits, tier: method.tier), rate: rate.rate)
    }

    /// Runs the network in a model file, which specifies its task.
    /// - Parameters:
    ///   - file: a file of weights, or a quantized model.
    ///   - rate: output frame rate of interpolation; ignored for other tasks.
    /// - Throws: a `VidenhanceError` if the file is not a model.
    public static func model(_ file: URL, rate: FrameRateChange = .double) throws -> Step {
      try model(file.path(percentEncoded: false), rate: rate)
    }

    /// Runs the network in the model file at a path.
    ///
    /// Equivalent to `model(_:rate:)` with a URL.
    public static func model(_ path: String, rate: FrameRateChange = .double) throws -> Step {
      let task = try NetworkCatalog.architecture(path: path).task
      return Step(choice: NetworkChoice(task, modelFile: path), rate: rate.rate)
    }

    /// Returns the step with the mean of the network's results for several mirror images of each frame.
    public func averaging(_ ensemble: Ensemble) -> Step {
      var result = self
      result.choice.ensemble = ensemble
      return result
    }

    /// Returns the step with or without temporal smoothing: averaging still parts of the picture with the frames
    /// before and after, which makes them steadier and removes more noise.
    ///
    /// Denoising and the networks for real footage do it unless this turns it off; other steps never do.
    public func smoothing(_ isOn: Bool) -> Step {
      var result = self
      result.smooths = isOn
      return result
    }

    func resolved(_ models: ModelLocation) -> EnhancementStep {
      var choice = choice
      choice.modelFolder = models.folder
      var step = EnhancementStep.network(
        choice, given: WindowConditions(noiseLevel: noiseLevel, strength: strength), rate: rate)
      step.smooths = smooths
      return step
    }
  }
}
