// SPDX-License-Identifier: Apache-2.0

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

  /// Makes of a source frame's properties those of the `part`th of the `factor` frames in its place.
  func divide(_ part: Int, of factor: Int) {
    if part > 0, host.has(Self.sceneBegins, in: map) { host.set(Self.sceneBegins, to: 0, in: map) }
    if part < factor - 1, host.has(Self.sceneEnds, in: map) { host.set(Self.sceneEnds, to: 0, in: map) }
    guard let numerator = host.integer(Self.numerator, in: map), numerator > 0,
      let denominator = host.integer(Self.denominator, in: map), denominator > 0
    else { return }
    if part > 0, let time = host.number(Self.time, in: map) {
      let duration = Double(numerator) / Double(denominator)
      host.set(Self.time, to: time + duration * Double(part) / Double(factor), in: map)
    }
    let (product, overflow) = denominator.multipliedReportingOverflow(by: factor)
    if overflow { return }
    let divisor = greatestCommonDivisor(numerator, product)
    host.set(Self.numerator, to: numerator / divisor, in: map)
    host.set(Self.denominator, to: product / divisor, in: map)
  }
}

/// Of positive numbers.
func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
