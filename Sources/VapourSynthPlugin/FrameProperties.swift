// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline

/// The properties of frames that mean something here; all others are kept as they are.
struct FrameProperties {
  private static let sceneBegins = "_SceneChangePrev"
  private static let sceneEnds = "_SceneChangeNext"
  private static let numerator = "_DurationNum"
  private static let denominator = "_DurationDen"
  private static let time = "_AbsoluteTime"

  private let host: Host
  private let map: OpaquePointer?

  /// Those of a frame, to be read.
  init(of frame: OpaquePointer, _ host: Host) {
    self.host = host
    map = host.properties(of: frame)
  }

  /// Those of a new frame, to be changed.
  init(ofNew frame: OpaquePointer, _ host: Host) {
    self.host = host
    map = host.writableProperties(of: frame)
  }

  /// Whether a scene begins or ends with the frame; nil if that is not told.
  var startsScene: Bool? { host.integer(Self.sceneBegins, in: map).map { $0 != 0 } }
  var endsScene: Bool? { host.integer(Self.sceneEnds, in: map).map { $0 != 0 } }
  /// Whether its lines belong to two fields.
  var isInterlaced: Bool { (host.integer("_FieldBased", in: map) ?? 0) > 0 }
  /// The level of its noise.
  var noise: Double? { host.number(FilterSettings.noiseProperty, in: map) }

  /// Tells whether a scene begins and ends with the frame.
  func setScene(starts: Bool, ends: Bool) {
    host.set(Self.sceneBegins, to: starts ? 1 : 0, in: map)
    host.set(Self.sceneEnds, to: ends ? 1 : 0, in: map)
  }

  /// Makes of a source frame's properties those of an output that takes a part of its time.
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

/// The product of the fractions a / b and c / d, reduced; nil if it does not fit.
func product(_ a: Int, _ b: Int, _ c: Int, _ d: Int) -> (Int, Int)? {
  let (top, overflow) = a.multipliedReportingOverflow(by: c)
  let (bottom, alsoOverflow) = b.multipliedReportingOverflow(by: d)
  if overflow || alsoOverflow { return nil }
  let divisor = greatestCommonDivisor(top, bottom)
  return (top / divisor, bottom / divisor)
}

/// Of positive numbers.
func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
