// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
package import Foundation
import Kernels
import Synchronization
import Tensors

/// A degraded clip, made from a range of frames of a film.
struct DegradedClip: Codable, Sendable {
  /// The first frame in the film, and the number of frames.
  var first, count: Int
  /// Offset of the clip in the file.
  var offset: Int
  /// The degradations applied.
  var chain: DegradationChain
  /// Name of the fixed kind, for validation.
  var kind: String?
}

/// Degraded clips of one film, created once from a seed and cached next to it, so that training does not need to encode.
///
/// For each frame, the file contains contiguous planes Y, U, V, then a byte per 16 x 16 block: 0 if the quantizer is
/// unknown, otherwise one more than `QuantizerMap`'s value.
final class DegradedFilm: Sendable {
  /// The ground truth.
  let film: Film
  /// Downscaling factor of the clips relative to the film.
  let factor: Int
  /// Extents of the clips.
  let width, height: Int
  /// The clips, in file order.
  let clips: [DegradedClip]
  /// By the clip's offset, the mean quantizer of its beginning, as of a source (`SourceSurvey`), if it is known.
  private let quantizers: [Int: UInt8]
  /// The sharpness of clips by offset, estimated from the same frames as that of a source.
  private let sharpness = Mutex<[Int: Float?]>([:])

  private let data: Data
  private let columns, rows: Int

  private struct Index: Codable {
    var version: Int
    var width, height: Int
    var clips: [DegradedClip]
  }

  /// Incremented when chains change, to invalidate old caches.
  private static let version = 4

  private static func files(_ film: Film, folder: URL, factor: Int, pass: String) throws -> (URL, URL) {
    let base = try Film.cacheFolder(folder).appendingPathComponent("\(film.name)-x\(factor)-\(pass)")
    return (base.appendingPathExtension("degraded"), base.appendingPathExtension("degraded.json"))
  }

  /// Opens the clips of a film.
  /// - Parameter pass: the name of the set of clips.
  /// - Throws: `TrainingError.noDegradedClips` if they do not exist, `badCache` if they are damaged.
  init(of film: Film, folder: URL, factor: Int, pass: String) throws {
    self.film = film
    self.factor = factor
    let (frames, description) = try Self.files(film, folder: folder, factor: factor, pass: pass)
    guard let text = try? Data(contentsOf: description) else {
      throw TrainingError.noDegradedClips(path: description.path)
    }
    guard let index = try? JSONDecoder().decode(Index.self, from: text), index.version == Self.version,
      let data = try? Data(contentsOf: frames, options: .alwaysMapped)
    else { throw TrainingError.badCache(path: description.path) }
    width = index.width
    height = index.height
    clips = index.clips
    self.data = data
    columns = (width + QuantizerMap.side - 1) / QuantizerMap.side
    rows = (height + QuantizerMap.side - 1) / QuantizerMap.side
    let blocks = columns * rows
    let bytes = width * height * 3 / 2 + blocks
    let isSane = index.clips.allSatisfy {
      $0.first >= 0 && $0.count > 0 && $0.first + $0.count <= film.count && $0.offset >= 0
        && $0.offset + $0.count * bytes <= data.count
    }
    guard isSane, width == film.width / factor / 2 * 2, height == film.height / factor / 2 * 2 else {
      throw TrainingError.badCache(path: description.path)
    }
    quantizers = index.clips.reduce(into: [:]) { result, clip in
      let known = (0..<min(clip.count, Self.surveyedFrames)).flatMap { frame in
        let end = data.startIndex + clip.offset + (frame + 1) * bytes
        return data[end - blocks..<end].filter { $0 > 0 }
      }
      guard !known.isEmpty else { return }
      result[clip.offset] = UInt8(known.reduce(0) { $0 + Int($1) - 1 } / known.count)
    }
  }

  /// The clip's sharpness, estimated from its beginning like that of a source; nil if it is unknown.
  func sharpness(of clip: DegradedClip) -> Float? {
    if let known = sharpness.withLock({ $0[clip.offset] }) { return known }
    let numbers = Sharpness.examinedFrames.filter { $0 < clip.count }
    let result = Sharpness.estimate(
      numbers.map { crop(clip, $0, x: 0, y: 0, width: width & ~1, height: height & ~1) })
    sharpness.withLock { $0[clip.offset] = .some(result) }
    return result
  }

  /// The frames of a clip that determine its quantizer.
  private static let surveyedFrames = 12

  /// Creates the clips of a film if they do not exist.
  /// - Parameters:
  ///   - parts: the frames and degradations of each clip.
  ///   - log: called with progress messages.
  static func make(
    of film: Film, folder: URL, factor: Int, pass: String, seed: UInt64,
    parts: [(frames: Range<Int>, kind: String?, chain: DegradationChain)], log: (String) -> Void
  ) throws {
    let (frames, description) = try files(film, folder: folder, factor: factor, pass: pass)
    if let text = try? Data(contentsOf: description),
      let old = try? JSONDecoder().decode(Index.self, from: text),
      old.version == version
    {
      return
    }
    let (width, height) = (film.width / factor / 2 * 2, film.height / factor / 2 * 2)
    let part = frames.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier).part")
    try Data().write(to: part)
    defer { try? FileManager.default.removeItem(at: part) }
    let output = try FileHandle(forWritingTo: part)
    defer { try? output.close() }
    var clips: [DegradedClip] = []
    var offset = 0
    let atOnce = 8
    for begin in stride(from: 0, to: parts.count, by: atOnce) {
      let made = try Parallel.map(min(atOnce, parts.count - begin)) { index -> Data in
        let (range, _, chain) = parts[begin + index]
        let truth = range.map { frame in
          film.crop(frame, x: 0, y: 0, width: width * factor, height: height * factor)
        }
        var random = SplitMix64(seed: seed &+ UInt64(begin + index) &* 0x9e37_79b9)
        return packed(try chain(truth, factor: factor, using: &random))
      }
      for (index, bytes) in made.enumerated() {
        let (range, kind, chain) = parts[begin + index]
        try output.write(contentsOf: bytes)
        clips.append(
          DegradedClip(first: range.lowerBound, count: range.count, offset: offset, chain: chain, kind: kind))
        offset += bytes.count
      }
      log("\(film.name) x\(factor) \(pass): \(clips.count) of \(parts.count) clips")
    }
    guard rename(part.path, frames.path) == 0 else { throw TrainingError.badCache(path: frames.path) }
    try JSONEncoder().encode(Index(version: version, width: width, height: height, clips: clips))
      .write(to: description, options: .atomic)
  }

  private static func packed(_ frames: [PlanarFrame]) -> Data {
    var bytes = Data()
    for frame in frames {
      bytes.append(
        UnsafeBufferPointer(start: frame.luma, count: frame.width * frame.height * 3 / 2))
      let empty = QuantizerMap(width: frame.width, height: frame.height, value: 0)
      bytes.append(contentsOf: frame.quantizers?.values.map { $0 + 1 } ?? empty.values)
    }
    return bytes
  }

  /// Context for the blur of the ground truth, in samples.
  private static let margin = 8

  /// Copies a rectangle of the ground truth of a clip's frame, as soft as the clip's chain makes it. All numbers must
  /// be even.
  func truth(_ clip: DegradedClip, _ index: Int, x: Int, y: Int, width w: Int, height h: Int) throws
    -> PlanarFrame
  {
    guard clip.chain.softness != nil else {
      return film.crop(clip.first + index, x: x, y: y, width: w, height: h)
    }
    let (left, top) = (max(0, x - Self.margin), max(0, y - Self.margin))
    let right = min(film.width & ~1, x + w + Self.margin)
    let bottom = min(film.height & ~1, y + h + Self.margin)
    let around = film.crop(
      clip.first + index, x: left, y: top, width: right - left, height: bottom - top)
    let soft = try clip.chain.softened([around])[0]
    return PlanarFrame(
      cutFrom: soft.luma, sourceWidth: soft.width, sourceHeight: soft.height, x: x - left, y: y - top,
      width: w, height: h)
  }

  /// Copies a rectangle of a clip's frame, with the clip's mean quantizer for all blocks. All numbers must be even.
  func crop(_ clip: DegradedClip, _ index: Int, x: Int, y: Int, width w: Int, height h: Int) -> PlanarFrame {
    let bytes = width * height * 3 / 2 + columns * rows
    return data.withUnsafeBytes { buffer in
      let start =
        buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + clip.offset + index * bytes
      let frame = PlanarFrame(
        cutFrom: start, sourceWidth: width, sourceHeight: height, x: x, y: y, width: w, height: h)
      frame.quantizers = quantizers[clip.offset].map { QuantizerMap(width: w, height: h, value: $0) }
      return frame
    }
  }
}

/// All degraded clips of a data folder for one scale.
package enum DegradedClips {
  /// The name of a set of training clips; each set degrades the films differently.
  static func trainingPass(_ index: Int) -> String { "train\(index)" }
  /// The name of the validation set, which never changes.
  static let validationPass = "val"

  /// Frames per clip.
  private static let clipLengths = 40...72
  /// Frames per validation clip, and clips per film and kind.
  private static let validationLength = 48
  private static let validationClips = 2

  /// Photographs in synthetic motion, as a film of short clips.
  static func photographFilm(folder: URL, isTraining: Bool) throws -> Film? {
    let use = isTraining ? "train" : "val"
    let photographs = MediaFolder(folder.appendingPathComponent(use)).photographs.count
    guard photographs > 0 else { return nil }
    // About three dozen per photograph, but only two each if there are few photographs.
    let clips = !isTraining ? 4 : photographs < 10 ? 2 * photographs : 960
    let (length, side) = (photographLength, 288)
    var pictures: [PlanarFrame]?
    let lock = NSLock()
    return try Film(
      made: "photographs-\(use)", folder: folder, width: side, height: side, clips: clips,
      framesPerClip: length
    ) { index in
      let known = try lock.withLock {
        if pictures == nil {
          let sides = isTraining ? PhotographStore.trainingShortSides : [PhotographStore.shortSide]
          pictures = try PhotographStore(folder: folder.appendingPathComponent(use), shortSides: sides)
            .pictures
        }
        return pictures!
      }
      guard !known.isEmpty else { throw TrainingError.noData(path: folder.path) }
      var random = SplitMix64(seed: 77 &+ UInt64(index) &* 0x51ed_270b)
      return SyntheticMotion.window(
        from: known, count: length, size: side, reachesEdges: isTraining, using: &random)
    }
  }
  /// Frames per clip of photographs.
  static let photographLength = 24

  /// Creates all missing clips.
  /// - Parameters:
  ///   - factor: downscaling factor relative to the ground truth: 1, 2 or 4.
  ///   - passes: number of training sets, each of which degrades every film once.
  ///   - log: called with progress messages.
  package static func make(folder: URL, factor: Int, passes: Int, log: (String) -> Void) throws {
    for section in try FilmSection.sections(of: folder) {
      let film = try Film(section: section, folder: folder)
      guard film.count >= 8 else { continue }
      if section.isTraining {
        for pass in 0..<passes { try train(film, folder: folder, factor: factor, pass: pass, log: log) }
      } else {
        try validate(
          film, length: validationLength, clips: validationClips, folder: folder, factor: factor, log)
      }
    }
    if let film = try photographFilm(folder: folder, isTraining: true) {
      for pass in 0..<passes { try train(film, folder: folder, factor: factor, pass: pass, log: log) }
    }
    if let film = try photographFilm(folder: folder, isTraining: false) {
      try validate(
        film, length: photographLength, clips: film.count / photographLength, folder: folder, factor: factor,
        log)
    }
  }

  private static func train(
    _ film: Film, folder: URL, factor: Int, pass: Int, log: (String) -> Void
  ) throws {
    let seed = film.name.utf8.reduce(UInt64(pass + 1) &* 1_000_003 &+ UInt64(factor)) {
      $0 &* 31 &+ UInt64($1)
    }
    var random = SplitMix64(seed: seed)
    var parts: [(Range<Int>, String?, DegradationChain)] = []
    var first = 0
    let isPhotographs = film.section.path.hasPrefix("photographs-")
    while first < film.count {
      let wanted =
        isPhotographs
        ? photographLength : clipLengths.lowerBound + random.index(clipLengths.count)
      // A short remainder is merged into this clip.
      let end = film.count - first < wanted + clipLengths.lowerBound / 2 ? film.count : first + wanted
      let last = isPhotographs ? first + wanted : end
      let chain = DegradationChain.random(
        width: film.width / factor / 2 * 2, height: film.height / factor / 2 * 2, using: &random)
      parts.append((first..<last, nil, chain))
      first = last
    }
    try DegradedFilm.make(
      of: film, folder: folder, factor: factor, pass: trainingPass(pass), seed: seed, parts: parts, log: log)
  }

  private static func validate(
    _ film: Film, length: Int, clips: Int, folder: URL, factor: Int, _ log: (String) -> Void
  ) throws {
    let length = min(length, film.count)
    let clips = max(1, min(clips, film.count / length))
    var parts: [(Range<Int>, String?, DegradationChain)] = []
    for (name, chain) in DegradationChain.fixed {
      for index in 0..<clips {
        let first = clips == 1 ? 0 : (film.count - length) * index / (clips - 1)
        parts.append((first..<first + length, name, chain))
      }
    }
    try DegradedFilm.make(
      of: film, folder: folder, factor: factor, pass: validationPass, seed: 2026, parts: parts, log: log)
  }
}
