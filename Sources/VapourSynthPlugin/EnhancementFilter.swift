// SPDX-License-Identifier: Apache-2.0
internal import CVapourSynth
internal import EnhancementModel
internal import EnhancementPipeline
internal import Synchronization
internal import Videnhance
internal import VideoIO

/// A filter of a script: a clip, and the network that enhances it.
///
/// VapourSynth requests frames on any thread, but calls `frame` on one at a time, so there is one network
/// with its own threads. `request` may run concurrently; it reads only constants and an atomic.
final class EnhancementFilter {
  /// The input clip.
  let source: OpaquePointer
  /// Format of the output.
  let info: CVSVideoInfo

  /// The plugin's function that created the filter.
  let kind: FilterKind
  private let settings: FilterSettings
  private let format: ClipFormat
  private let frames: FramesByNumber
  /// Whether the network's frames are resampled to the size of the source.
  private let isResampled: Bool
  private var scaler: FrameScaler?
  /// Whether frames have no scene properties, so that detection needs further frames.
  private let looksAhead: Atomic<Bool>

  /// FFmpeg's limit for the area of a picture.
  private static let mostSamples = Int(Int32.max) / 8

  /// Parses the arguments of a call and creates the network. Frees the clip on failure, or else with the
  /// filter.
  /// - Throws: `FilterError`, or an error of the network.
  init(_ kind: FilterKind, _ host: Host, _ arguments: OpaquePointer) throws {
    guard let source = host.node("clip", in: arguments) else { throw FilterError("clip is missing") }
    self.source = source
    self.kind = kind
    do {
      guard var info = host.information(of: source) else { throw FilterError("clip is not a video") }
      let settings = try FilterSettings(kind, host, arguments)
      let format = try ClipFormat(info, host)
      let network = try NetworkCatalog.network(
        settings.network.enlargingForRestoration ?? settings.network, width: (format.width + 1) & ~1,
        height: (format.height + 1) & ~1,
        threads: settings.threads)
      let scale = network.architecture.scale
      let pace = try settings.pace(
        sourceRate: info.fpsNum > 0 && info.fpsDen > 0 ? (Int(info.fpsNum), Int(info.fpsDen)) : nil)
      guard (format.width * scale + 128) * (format.height * scale + 128) < Self.mostSamples,
        let count = pace.frames(for: Int(info.numFrames)).flatMap({ Int32(exactly: $0) })
      else { throw FilterError("the result would be too large or too long") }
      isResampled = settings.network.enlargingForRestoration != nil
      if !isResampled {
        info.width *= Int32(scale)
        info.height *= Int32(scale)
      }
      frames = FramesByNumber(
        network, sourceCount: Int(info.numFrames), pace: pace, findsSceneCuts: settings.cuts != .none,
        smooths: settings.smooths, threads: settings.threads)
      info.numFrames = count
      if info.fpsNum > 0, info.fpsDen > 0,
        let rate = product(Int(info.fpsNum), Int(info.fpsDen), pace.denominator, pace.numerator)
      {
        (info.fpsNum, info.fpsDen) = (Int64(rate.0), Int64(rate.1))
      }
      self.info = info
      self.settings = settings
      self.format = format
      looksAhead = Atomic(settings.cuts == .detect)
    } catch {
      host.free(node: source)
      throw error
    }
  }

  /// Requests the source frames required for output `number`, including those for scene detection if known to
  /// be needed.
  func request(_ number: Int, _ context: OpaquePointer, _ host: Host) {
    let needed = frames.sources(of: number)
    let further = looksAhead.load(ordering: .relaxed) ? SceneCutDetector.lookAhead : 0
    let last = min(needed.upperBound + further, frames.sourceCount - 1)
    for place in max(needed.lowerBound, 0)...last { host.request(place, of: source, context) }
  }

  /// Makes a frame from the requested ones; returns nil after requesting more.
  func frame(_ number: Int, _ context: OpaquePointer, _ host: Host) throws -> OpaquePointer? {
    var held: [Int: OpaquePointer] = [:]
    defer { for frame in held.values { host.free(frame: frame) } }
    func available(_ place: Int) -> OpaquePointer? {
      if let frame = held[place] { return frame }
      guard let frame = host.frame(place, of: source, context) else { return nil }
      held[place] = frame
      return frame
    }

    let center = frames.pace.source(of: number)
    guard let original = available(center) else {
      throw FilterError("frame \(center) of the clip is missing")
    }
    let properties = FrameProperties(of: original, host)
    if properties.isInterlaced {
      throw FilterError("frame \(center) is interlaced; deinterlace first, or clear _FieldBased if it is not")
    }
    let conditions: (Int) throws -> WindowConditions = { [kind, settings] place in
      var conditions = WindowConditions(
        noiseLevel: settings.noise, strength: settings.strength, sharpness: settings.sharpness)
      if kind == .denoise, settings.noise == nil {
        conditions.noiseLevel = try available(place).flatMap { FrameProperties(of: $0, host).noise }.map {
          try FilterSettings.noise($0, named: FilterSettings.noiseProperty)
        }
      }
      return conditions
    }
    let known: (Int) -> Bool? = { [settings] place in
      guard settings.cuts == .auto else { return nil }
      return available(place).flatMap { FrameProperties(of: $0, host).startsScene }
        ?? available(place - 1).flatMap { FrameProperties(of: $0, host).endsScene }
    }
    let outcome = try frames.make(number, given: conditions, known: known) { place in
      try available(place).map { try format.read($0, host) }
    }
    switch outcome {
    case .lacks(let places):
      looksAhead.store(true, ordering: .relaxed)
      for place in places { host.request(place, of: source, context) }
      return nil
    case .made(let frame, let startsScene, let endsScene):
      let result = try format.write(try resampled(frame), like: original, host)
      let written = FrameProperties(ofNew: result, host)
      if let startsScene, let endsScene { written.setScene(starts: startsScene, ends: endsScene) }
      if frames.pace != FramesByNumber.Pace() { written.divide(number, frames.pace) }
      return result
    }
  }

  /// Returns the frame at the size of the output.
  private func resampled(_ frame: VideoFrame) throws -> VideoFrame {
    guard isResampled else { return frame }
    var scaler =
      try self.scaler.take()
      ?? FrameScaler(like: frame, width: format.width, height: format.height, format: frame.format)
    let result = try scaler.scale(frame)
    self.scaler = consume scaler
    return result
  }
}
