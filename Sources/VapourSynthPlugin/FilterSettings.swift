// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
internal import Videnhance
internal import VideoIO

/// An invalid call or clip, described in one lower-case line.
struct FilterError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The validated arguments of a call.
struct FilterSettings {
  /// Source of the scene cuts.
  enum SceneCuts: String, CaseIterable {
    /// Frame properties if present, else detection from the frames.
    case auto
    /// Detection from the frames, as on the command line.
    case detect
    /// No scene cuts.
    case none
  }

  var network: NetworkChoice
  /// Output frame rate of interpolation.
  var rate = InterpolationRate.factor(1)
  /// Standard deviation of the noise in 8-bit levels; nil uses the frame property, or else an estimate.
  var noise: Float?
  /// What denoising multiplies the level by.
  var strength: Float = 1
  /// Sharpness of the source; nil for sources that are about sharp.
  var sharpness: Float?
  var cuts = SceneCuts.auto
  /// Whether still parts of the frames are averaged with the adjacent frames.
  var smooths = true
  var threads: Int

  /// Frame property with the noise level.
  static let noiseProperty = "VidenhanceNoise"

  /// Parses the arguments of a call.
  init(_ kind: FilterKind, _ host: Host, _ map: OpaquePointer) throws {
    network = NetworkChoice(kind.task, tier: kind.task.usualTier)
    if let bits = host.integer("bits", in: map) {
      network.bits = try Self.choice("bits", bits, NetworkBits.allCases)
    }
    network.modelFile = host.text("model_file", in: map)
    if let ensemble = host.integer("ensemble", in: map) {
      network.ensemble = try Self.choice("ensemble", ensemble, Ensemble.allCases)
    }
    if let scale = host.integer("scale", in: map) {
      guard scale == 2 || scale == 4 else { throw FilterError("scale must be 2 or 4") }
      network.scale = scale
    }
    if let tier = host.text("model", in: map) {
      network.tier = try Self.choice("model", tier, kind.task.tiers)
      if network.modelFile != nil { throw FilterError("model and model_file contradict each other") }
      if let scale = network.scale, !network.tier.scales.contains(scale) {
        throw FilterError("model=\"\(network.tier.rawValue)\" is for scale=2")
      }
    }
    // Frames have no record of their compression, so there is no automatic choice.
    network.source = .real
    if let source = host.text("source", in: map) {
      network.source = try Self.choice("source", source, SourceKind.allCases.filter { $0 != .auto })
      if network.modelFile != nil { throw FilterError("source and model_file contradict each other") }
    }
    if kind == .interpolate { rate = try Self.rate(host, map) }
    noise = try host.number("noise", in: map).map { try Self.noise($0, named: "noise") }
    if let strength = host.number("strength", in: map) {
      guard strength >= 0, strength <= Double(WindowConditions.mostStrength) else {
        throw FilterError("strength must be 0 to \(Int(WindowConditions.mostStrength))")
      }
      self.strength = Float(strength)
    }
    if let sharpness = host.number("sharpness", in: map) {
      guard (0...1).contains(sharpness) else { throw FilterError("sharpness must be 0 to 1") }
      self.sharpness = Float(sharpness)
    }
    if let smoothing = host.integer("smoothing", in: map) {
      guard smoothing == 0 || smoothing == 1 else { throw FilterError("smoothing must be 0 or 1") }
      smooths = smoothing == 1
    }
    if let cuts = host.text("cuts", in: map) {
      self.cuts = try Self.choice("cuts", cuts, SceneCuts.allCases)
    }
    let threads = host.integer("threads", in: map) ?? 0
    guard (0...1024).contains(threads) else {
      throw FilterError("threads must be 1 to 1024, or 0 for one per processor")
    }
    self.threads = threads == 0 ? EnhancementJob.Options().threads : threads
  }

  private static func rate(_ host: Host, _ map: OpaquePointer) throws -> InterpolationRate {
    let factor = host.integer("factor", in: map)
    guard let numerator = host.integer("fps_num", in: map) else {
      if host.has("fps_den", in: map) { throw FilterError("fps_den needs fps_num") }
      guard (2...InterpolationRate.mostFactor).contains(factor ?? 2) else {
        throw FilterError("factor must be 2 to \(InterpolationRate.mostFactor)")
      }
      return .factor(factor ?? 2)
    }
    if factor != nil { throw FilterError("factor and fps_num contradict each other") }
    guard let numerator = Int32(exactly: numerator), numerator > 0,
      let denominator = Int32(exactly: host.integer("fps_den", in: map) ?? 1), denominator > 0
    else { throw FilterError("fps_num and fps_den must be 1 to \(Int32.max)") }
    return .framesPerSecond(Rational(numerator, denominator))
  }

  /// Returns the output times for a clip with a frame rate, which is nil if it is not constant.
  func pace(sourceRate: (numerator: Int, denominator: Int)?) throws -> FramesByNumber.Pace {
    switch rate {
    case .factor(let factor): return FramesByNumber.Pace(1, factor)
    case .framesPerSecond(let wanted):
      guard let (numerator, denominator) = sourceRate else {
        throw FilterError("the clip has no constant frame rate; pass factor instead of fps_num")
      }
      let (from, overflow) = numerator.multipliedReportingOverflow(by: Int(wanted.denominator))
      let (to, alsoOverflow) = denominator.multipliedReportingOverflow(by: Int(wanted.numerator))
      guard !overflow, !alsoOverflow, from <= to, to / from <= InterpolationRate.mostFactor else {
        throw FilterError(
          "fps_num / fps_den must be 1 to \(InterpolationRate.mostFactor) times the clip's rate")
      }
      let divisor = greatestCommonDivisor(from, to)
      // Products of these with frame numbers fit in 63 bits.
      guard to / divisor <= Int(Int32.max) else { throw FilterError("the rates have no common measure") }
      return FramesByNumber.Pace(from / divisor, to / divisor)
    }
  }

  /// Validates a noise level.
  static func noise(_ level: Double, named name: String) throws -> Float {
    guard level >= 0, level <= Double(NoiseLevel.most) else {
      throw FilterError(
        "\(name) must be 0 to \(Int(NoiseLevel.most)), the standard deviation in 8-bit levels")
    }
    return Float(level)
  }

  private static func choice<Value: RawRepresentable>(
    _ name: String, _ given: Value.RawValue, _ all: [Value]
  ) throws -> Value where Value.RawValue: Equatable {
    if let value = all.first(where: { $0.rawValue == given }) { return value }
    throw FilterError("\(name) must be one of \(all.map { "\($0.rawValue)" }.joined(separator: ", "))")
  }
}
