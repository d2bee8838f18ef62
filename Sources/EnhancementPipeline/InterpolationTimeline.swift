// SPDX-License-Identifier: Apache-2.0
internal import Kernels
package import VideoIO

/// How many frames interpolation makes.
package enum InterpolationRate: Sendable, Hashable {
  /// As many frames for each one of the source; variable rates stay variable.
  case factor(Int)
  /// Frames at equal distances, this many in a second.
  case framesPerSecond(Rational)

  /// Greatest factor.
  package static let mostFactor = 64
}

/// When the frames of an interpolated stream are shown, and which source frames they lie between. Exact in integers.
struct InterpolationTimeline {
  /// Seconds per tick of the new timestamps.
  let timeBase: Rational
  /// Frames per second on average.
  let frameRate: Rational
  /// Ticks of the new time base in one of the old.
  private let scale: Int64
  private let rate: InterpolationRate
  /// Ticks of the new time base from frame to frame, for a constant rate.
  private let step: Int64
  /// Frames between two of the source that are still believed: ten minutes at the greatest rate.
  private static let mostInGap: Int64 = 600_000
  /// The next frame's time, for a constant rate; nil before the first.
  private var next: Int64?

  /// - Throws: `PipelineError.timeBaseTooFine` where 32 bits do not hold the time base that both need.
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
      // Ticks that divide both the source's ticks and the new frames' distance.
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

  /// A time of the source in the new time base; times too large for it are cut off here, and refused by `instants`.
  func scaled(_ time: Int64) -> Int64 {
    let (result, overflow) = time.multipliedReportingOverflow(by: scale)
    return overflow ? (time < 0 ? .min : .max) : result
  }

  /// What to show from one source frame until the next.
  /// - Parameter length: ticks of the old time base until then, positive.
  /// - Throws: `PipelineError.timesTooLarge` where 64 bits do not hold the new times, or a gap would take millions of frames.
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

  private mutating func instants(begin: Int64, ticks: Int64, length: Int64) -> [FrameInstant] {
    switch rate {
    case .factor(let factor):
      // Exact: the scale is the factor.
      return (0..<factor).map {
        FrameInstant(
          presentationTimestamp: begin + Int64($0) * length, duration: length,
          position: ($0 * FrameMotion.unit + factor / 2) / factor)
      }
    case .framesPerSecond:
      var result: [FrameInstant] = []
      var time = next ?? begin
      while time < begin + ticks {
        let part = max(0, time - begin)
        let position = Int((part * Int64(FrameMotion.unit) + ticks / 2) / ticks)
        result.append(
          FrameInstant(
            presentationTimestamp: time, duration: step, position: min(position, FrameMotion.unit - 1)))
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
  /// The reduced fraction; nil if 32 bits do not hold it.
  fileprivate init?(exactly numerator: Int64, _ denominator: Int64) {
    var (x, y) = (numerator, denominator)
    while y != 0 { (x, y) = (y, x % y) }
    guard x > 0, let n = Int32(exactly: numerator / x), let d = Int32(exactly: denominator / x) else {
      return nil
    }
    self.init(n, d)
  }

  /// The reduced fraction; 0/1 (unknown) if 32 bits do not hold it.
  fileprivate init(clamping numerator: Int64, _ denominator: Int64) {
    self = Rational(exactly: numerator, denominator) ?? Rational(0, 1)
  }
}

extension Int64 {
  /// With a magnitude that can be taken.
  fileprivate var clamped: Int64 { self == .min ? .max : self }
}
