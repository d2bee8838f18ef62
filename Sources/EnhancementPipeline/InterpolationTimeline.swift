// SPDX-License-Identifier: Apache-2.0
internal import Kernels
package import VideoIO

/// The output rate of interpolation.
package enum InterpolationRate: Sendable, Hashable, Codable {
  /// This many frames for each source frame; variable rates stay variable.
  case factor(Int)
  /// A constant number of frames per second.
  case framesPerSecond(Rational)

  /// The largest factor.
  package static let mostFactor = 64
}

/// Computes the times of interpolated frames and their positions between source frames, exactly, in integers.
struct InterpolationTimeline {
  /// Seconds per tick of the output's timestamps.
  let timeBase: Rational
  /// Average frames per second of the output.
  let frameRate: Rational
  /// Output ticks per source tick.
  private let scale: Int64
  private let rate: InterpolationRate
  /// Output ticks per frame, for a constant rate.
  private let step: Int64
  /// Most frames accepted between two source frames: ten minutes at the highest rate.
  private static let mostInGap: Int64 = 600_000
  /// Time of the next frame, for a constant rate; nil before the first.
  private var next: Int64?

  /// - Throws: `PipelineError.timeBaseTooFine` if the common time base does not fit into 32 bits.
  init(rate: InterpolationRate, timeBase old: Rational, frameRate oldRate: Rational, path: String)
    throws(PipelineError)
  {
    self.rate = rate
    let (numerator, denominator) = (Int64(old.numerator), Int64(old.denominator))
    switch rate {
    case .factor(let factor):
      scale = Int64(factor)
      step = 0
      frameRate = Rational(clamping: Int64(oldRate.numerator) * Int64(factor), Int64(oldRate.denominator))
      guard let base = Rational(exactly: numerator, denominator * Int64(factor)) else {
        throw .timeBaseTooFine(path: path, timeBase: "\(old)")
      }
      timeBase = base
    case .framesPerSecond(let wanted):
      // A tick that divides both the source's ticks and the new frame interval.
      let common = Self.leastCommonMultiple(denominator, Int64(wanted.numerator))
      guard let common, let base = Rational(exactly: 1, common) else {
        throw .timeBaseTooFine(path: path, timeBase: "\(old)")
      }
      timeBase = base
      scale = numerator * (common / denominator)
      step = Int64(wanted.denominator) * (common / Int64(wanted.numerator))
      frameRate = wanted
    }
  }

  /// Converts a source time to output ticks; times that are too large are clamped, and `instants` refuses
  /// them.
  func scaled(_ time: Int64) -> Int64 {
    let (result, overflow) = time.multipliedReportingOverflow(by: scale)
    return overflow ? (time < 0 ? .min : .max) : result
  }

  /// Returns the frames to show from one source frame until the next.
  /// - Parameter length: source ticks between the two frames, positive.
  /// - Throws: `PipelineError.timesTooLarge` if the times do not fit into 64 bits, or if a gap would need
  ///   more than `mostInGap` frames.
  mutating func instants(from timestamp: Int64, length: Int64) throws(PipelineError) -> [FrameInstant] {
    let (begin, ticks) = (
      timestamp.multipliedReportingOverflow(by: scale), length.multipliedReportingOverflow(by: scale)
    )
    let limit = Int64.max / 1024
    guard !begin.overflow, !ticks.overflow, abs(begin.partialValue.clamped) < limit,
      ticks.partialValue < limit,
      step == 0 || ticks.partialValue / step < Self.mostInGap
    else { throw .timesTooLarge }
    return instants(begin: begin.partialValue, ticks: ticks.partialValue, length: length)
  }

  /// Returns the position of an instant between two source frames in units of 1/`BetweenMotion.unit`, `part` of `length`
  /// after the first one.
  static func position(_ part: Int, of length: Int) -> Int {
    min((part * BetweenMotion.unit + length / 2) / length, BetweenMotion.unit - 1)
  }

  private mutating func instants(begin: Int64, ticks: Int64, length: Int64) -> [FrameInstant] {
    switch rate {
    case .factor(let factor):
      // Exact, since the scale is the factor.
      return (0..<factor).map {
        FrameInstant(
          presentationTimestamp: begin + Int64($0) * length, duration: length,
          position: Self.position($0, of: factor))
      }
    case .framesPerSecond:
      var result: [FrameInstant] = []
      var time = next ?? begin
      while time < begin + ticks {
        let position = Self.position(Int(max(0, time - begin)), of: Int(ticks))
        result.append(FrameInstant(presentationTimestamp: time, duration: step, position: position))
        time += step
      }
      next = time
      return result
    }
  }

  private static func leastCommonMultiple(_ a: Int64, _ b: Int64) -> Int64? {
    var (x, y) = (a, b)
    while y != 0 { (x, y) = (y, x % y) }
    let (product, overflow) = (a / x).multipliedReportingOverflow(by: b)
    return overflow ? nil : product
  }
}

extension Rational {
  /// Creates the reduced fraction; nil if it does not fit into 32 bits.
  fileprivate init?(exactly numerator: Int64, _ denominator: Int64) {
    var (x, y) = (numerator, denominator)
    while y != 0 { (x, y) = (y, x % y) }
    guard x > 0, let n = Int32(exactly: numerator / x), let d = Int32(exactly: denominator / x) else {
      return nil
    }
    self.init(n, d)
  }

  /// Creates the reduced fraction; 0/1 (unknown) if it does not fit into 32 bits.
  fileprivate init(clamping numerator: Int64, _ denominator: Int64) {
    self = Rational(exactly: numerator, denominator) ?? Rational(0, 1)
  }
}

extension Int64 {
  /// The value, or `max` for `min`, whose magnitude cannot be represented.
  fileprivate var clamped: Int64 { self == .min ? .max : self }
}
