// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// An invalid call, independent of the contents of files.
public enum UsageError: VidenhanceError, Hashable {
  /// An enhancement needs at least one step.
  case noSteps
  /// Interpolation factors are 2 to 64.
  case interpolationFactor(Int)
  /// Frame rates are positive and at most 1000 frames per second.
  case frameRate(numerator: Int32, denominator: Int32)
  /// Noise levels are 0 to 63.
  case noiseLevel(Float)
  /// Strengths of denoising are 0 to 2.
  case strength(Float)
  /// Timescales are positive.
  case timescale(Int32)
  /// The layout has another sample size.
  case sampleSize(layout: String, bytes: Int)
  /// A picture differs from the first one in size or layout.
  case pictureChanges(from: String, to: String)
  /// A picture is not later than the one before.
  case timesNotIncreasing(time: String)

  /// One lower-case line.
  public var description: String {
    switch self {
    case .noSteps: "there is nothing to do: the list of steps is empty"
    case .interpolationFactor(let factor): "cannot make \(factor) frames from one"
    case .frameRate(let numerator, let denominator): "\(numerator)/\(denominator) is not a frame rate"
    case .noiseLevel(let level): "\(level) is not a noise level"
    case .strength(let strength): "\(strength) is not a strength of denoising"
    case .timescale(let timescale): "\(timescale) ticks per second is not a timescale"
    case .sampleSize(let layout, let bytes): "\(layout) has no samples of \(bytes) bytes"
    case .pictureChanges(let from, let to): "a picture is \(to) where the first one is \(from)"
    case .timesNotIncreasing(let time): "the picture at \(time) is not later than the one before it"
    }
  }

  /// The accepted values, in one lower-case line.
  public var hint: String? {
    switch self {
    case .noSteps: "pass at least one step"
    case .interpolationFactor: "2 to 64 are possible"
    case .frameRate: "rates are positive, and at most 1000 frames per second"
    case .noiseLevel: "levels are 0 to 63, in 8-bit levels"
    case .strength: "strengths are 0 to 2, and 1 removes the noise that is found"
    case .timescale: "a timescale is positive"
    case .sampleSize: "samples of up to 8 bits are UInt8, deeper ones UInt16"
    case .pictureChanges: "scale the pictures to one size, or start another enhancement"
    case .timesNotIncreasing: "pass the pictures in order of presentation"
    }
  }
}
