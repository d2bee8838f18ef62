// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline

/// The frame properties used by the filters; all others are kept unchanged.
struct FrameProperties {
  private static let sceneBegins = "_SceneChangePrev"
  private static let sceneEnds = "_SceneChangeNext"
  private static let numerator = "_DurationNum"
  private static let denominator = "_DurationDen"
  private static let time = "_AbsoluteTime"

  private let host: Host
  private let map: OpaquePointer?

  /// Creates read-only access to a frame's properties.
  init(of frame: OpaquePointer, _ host: Host) {
    self.host = host
    map = host.properties(of: frame)
  }

  /// Creates access to a new frame's properties, for changes.
  init(ofNew frame: OpaquePointer, _ host: Host) {
    self.host = host
    map = host.writableProperties(of: frame)
  }

  /// Whether a scene begins or ends with the frame; nil if the property is missing.
  var startsScene: Bool? { host.integer(Self.sceneBegins, in: map).map { $0 != 0 } }
  var endsScene: Bool? { host.integer(Self.sceneEnds, in: map).map { $0 != 0 } }
  /// Whether the frame consists of two fields.
  var isInterlaced: Bool { (host.integer("_FieldBased", in: map) ?? 0) > 0 }
  /// Noise level in 8-bit levels; nil if the property is missing.
  var noise: Double? { host.number(FilterSettings.noiseProperty, in: map) }

  /// Sets whether a scene begins and ends with the frame.
  func setScene(starts: Bool, ends: Bool) {
    host.set(Self.sceneBegins, to: starts ? 1 : 0, in: map)
    host.set(Self.sceneEnds, to: ends ? 1 : 0, in: map)
  }

  /// Converts a source frame's properties to those of an output frame that covers part of its duration.
  func divide(_ number: Int, _ pace: FramesByNumber.Pace) {
    if !pace.isFirst(number), host.has(Self.sceneBegins, in: map) {
      host.set(Self.sceneBegins, to: 0, in: map)
    }
    if !pace.isLast(number), host.has(Self.sceneEnds, in: map) { host.set(Self.sceneEnds, to: 0, in: map) }
    guard let numerator = host.integer(Self.numerator, in: map), numerator > 0,
      let denominator = host.integer(Self.denominator, in: map), denominator > 0
    else { return }
    let part = pace.part(of: number)
    if part > 0, let time = host.number(Self.time, in: map) {
      let passed = Double(part) / Double(pace.denominator)
      host.set(Self.time, to: time + Double(numerator) / Double(denominator) * passed, in: map)
    }
    guard let (top, bottom) = product(numerator, denominator, pace.numerator, pace.denominator) else {
      return
    }
    host.set(Self.numerator, to: top, in: map)
    host.set(Self.denominator, to: bottom, in: map)
  }
}

/// Returns the product of the fractions a / b and c / d, reduced; nil on overflow.
func product(_ a: Int, _ b: Int, _ c: Int, _ d: Int) -> (Int, Int)? {
  let (top, overflow) = a.multipliedReportingOverflow(by: c)
  let (bottom, alsoOverflow) = b.multipliedReportingOverflow(by: d)
  if overflow || alsoOverflow { return nil }
  let divisor = greatestCommonDivisor(top, bottom)
  return (top / divisor, bottom / divisor)
}

/// Returns the greatest common divisor of positive numbers.
func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
