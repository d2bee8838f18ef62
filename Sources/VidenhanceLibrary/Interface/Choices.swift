// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import VideoIO

/// Bit width of a network's weights and activations.
public enum NetworkBits: Int, CaseIterable, Sendable {
  case two = 2
  case three = 3
  case four = 4
  case six = 6
  case eight = 8
  /// Floating point.
  case float = 32
}

/// Number of mirror images of each frame and its neighbours that a network processes; the mean of its results is more
/// accurate than a single one. Each image costs as much as the network alone.
public enum Ensemble: Int, CaseIterable, Sendable {
  /// The network alone.
  case one = 1
  /// The picture itself, and the one turned by 180 degrees.
  case two = 2
  /// Also upside down, and with left and right exchanged.
  case four = 4
}

/// Kind of source, which selects among networks for the same task.
public enum SourceKind: String, CaseIterable, Sendable {
  /// Estimated from the first frames of the file; pictures supplied by the caller count as `real`.
  case auto
  /// Compressed, noisy or soft footage.
  case real
  /// Masters, renderings, or footage of similar quality.
  case clean
}

/// Shipped networks for super-resolution, by the factor for width and height and the computational cost.
public enum UpscalingNetwork: Sendable, Hashable, CaseIterable {
  /// Twice the width and height.
  case x2
  /// Twice the width and height, at about a third of the cost.
  case x2Fast
  /// Twice the width and height, at about twice the cost.
  case x2Best
  /// Four times the width and height.
  case x4

  var scale: Int { self == .x4 ? 4 : 2 }
  var tier: NetworkTier {
    switch self {
    case .x2, .x4: .balanced
    case .x2Fast: .fast
    case .x2Best: .best
    }
  }
}

/// How interpolation makes frames.
public enum InterpolationMethod: Sendable, Hashable, CaseIterable {
  /// The neighbours are warped along the estimated motion and blended.
  case motion
  /// A network corrects that blend, at about twice the cost. It is better on some footage like that it was trained on, and no
  /// better on the rest.
  case network

  var tier: NetworkTier { self == .motion ? .fast : .balanced }
}

/// Output frame rate of interpolation.
public struct FrameRateChange: Sendable, Hashable {
  let rate: InterpolationRate

  private init(_ rate: InterpolationRate) { self.rate = rate }

  /// Twice the frame rate.
  public static let double = FrameRateChange(.factor(2))

  /// Returns a multiple of the source's frame rate, 2 to 64; variable rates stay variable.
  /// - Throws: `UsageError.interpolationFactor`.
  public static func factor(_ factor: Int) throws(UsageError) -> FrameRateChange {
    guard (2...InterpolationRate.mostFactor).contains(factor) else { throw .interpolationFactor(factor) }
    return FrameRateChange(.factor(factor))
  }

  /// Returns a constant rate of `numerator / denominator` frames per second, at most 1000.
  /// - Throws: `UsageError.frameRate`.
  public static func framesPerSecond(_ numerator: Int32, over denominator: Int32 = 1) throws(UsageError)
    -> FrameRateChange
  {
    let rate = Rational(numerator, denominator)
    guard rate.isPositive, (0.1...1000).contains(rate.doubleValue) else {
      throw .frameRate(numerator: numerator, denominator: denominator)
    }
    return FrameRateChange(.framesPerSecond(rate))
  }
}
