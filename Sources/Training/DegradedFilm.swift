// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
public import Foundation
import Kernels
import Tensors

/// A clip as footage has it, made from some frames of a film.
struct DegradedClip: Codable, Sendable {
  /// The first of the film's frames, and their number.
  var first, count: Int
  /// Where the clip begins in the file.
  var offset: Int
  /// What was done to it.
  var chain: DegradationChain
  /// Name of the fixed kind, for validation.
  var kind: String?
}

/// Degraded clips of one film, made once from a seed and kept beside it in the cache folder: training encodes nothing.
///
/// The file holds, for each frame, planes Y, U, V without gaps, then a byte for each 16 x 16 block: 0 where the quantizer
/// is not known, else one more than `QuantizerMap`'s value.
final class DegradedFilm: Sendable {
  /// The ground truth.
  let film: Film
  /// How much smaller the clips are than the film.
  let factor: Int
  /// Extents of the clips.
  let width, height: Int
  /// The clips, in the order of the file.
  let clips: [DegradedClip]

  private let data: Data
  private let columns, rows: Int

  private struct Index: Codable {
    var version: Int
    var width, height: Int
    var clips: [DegradedClip]
  }

  /// Raised when chains change, so that old caches are made anew.
  private static let version = 1

  private static func files(_ film: Film, folder: URL, factor: Int, pass: String) throws -> (URL, URL) {
    let base = try Film.cacheFolder(folder).appendingPathComponent("\(film.name)-x\(factor)-\(pass)")
    return (base.appendingPathExtension("degraded"), base.appendingPathExtension("degraded.json"))
  }

  /// Opens the clips of a film.
  /// - Parameter pass: which of several sets.
  /// - Throws: `TrainingError.noDegradedClips` if they have not been made, `badCache` if they are damaged.
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
    let bytes = width * height * 3 / 2 + columns * rows
    let isSane = index.clips.allSatisfy {
      $0.first >= 0 && $0.count > 0 && $0.first + $0.count <= film.count && $0.offset >= 0
        && $0.offset + $0.count * bytes <= data.count
    }
    guard isSane, width == film.width / factor / 2 * 2, height == film.height / factor / 2 * 2 else {
      throw TrainingError.badCache(path: description.path)
    }
  }

  /// Makes the clips of a film, unless they are there.
  /// - Parameters:
  ///   - parts: which frames become a clip, and how.
  ///   - log: is told of progress.
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

  /// Copies a rectangle of a clip's frame, with its quantizers. The origin is a multiple of 16, extents are even.
  func crop(_ clip: DegradedClip, _ index: Int, x: Int, y: Int, width w: Int, height h: Int) -> PlanarFrame {
    let bytes = width * height * 3 / 2 + columns * rows
    return data.withUnsafeBytes { buffer in
      let start =
        buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + clip.offset + index * bytes
      let frame = PlanarFrame(
        cutFrom: start, sourceWidth: width, sourceHeight: height, x: x, y: y, width: w, height: h)
      let side = QuantizerMap.side
      let (across, down) = ((w + side - 1) / side, (h + side - 1) / side)
      let blocks = start + width * height * 3 / 2 + y / side * columns + x / side
      if blocks.pointee > 0 {
        let values = (0..<down).flatMap { row in
          (0..<across).map { blocks[row * columns + $0] - min(1, blocks[row * columns + $0]) }
        }
        frame.quantizers = QuantizerMap(columns: across, rows: down, values: values)
      }
      return frame
    }
  }
}

/// All degraded clips of a data folder for one size of output.
public enum DegradedClips {
  /// Sets of differently degraded clips of each film for training.
  static func trainingPass(_ index: Int) -> String { "train\(index)" }
  /// The set for validation, fixed for ever.
  static let validationPass = "val"

  /// Frames of a clip.
  private static let clipLengths = 40...72
  /// Frames of a clip in validation, and clips of each film and kind.
  private static let validationLength = 48
  private static let validationClips = 2

  /// Photographs in synthetic motion, as a film of short clips.
  static func photographFilm(folder: URL, isTraining: Bool) throws -> Film? {
    let use = isTraining ? "train" : "val"
    let photographs = MediaFolder(folder.appendingPathComponent(use)).photographs.count
    guard photographs > 0 else { return nil }
    // A dozen of each, but no more of a few than they have to show.
    let clips = !isTraining ? 4 : photographs < 10 ? 2 * photographs : 360
    let (length, side) = (photographLength, 288)
    var pictures: [PlanarFrame]?
    let lock = NSLock()
    return try Film(
      made: "photographs-\(use)", folder: folder, width: side, height: side, clips: clips,
      framesPerClip: length
    ) { index in
      let known = try lock.withLock {
        if pictures == nil {
          pictures = try PhotographStore(folder: folder.appendingPathComponent(use)).pictures
        }
        return pictures!
      }
      guard !known.isEmpty else { throw TrainingError.noData(path: folder.path) }
      var random = SplitMix64(seed: 77 &+ UInt64(index) &* 0x51ed_270b)
      return SyntheticMotion.window(from: known, count: length, size: side, using: &random)
    }
  }
  /// Frames of a clip of photographs.
  static let photographLength = 24

  /// Makes what is missing.
  /// - Parameters:
  ///   - factor: how much smaller clips are than their ground truth: 1, 2 or 4.
  ///   - passes: sets for training, each film degraded as often.
  ///   - log: is called with a line of progress now and then.
  public static func make(folder: URL, factor: Int, passes: Int, log: (String) -> Void) throws {
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
      // What is left over after this one joins it.
      let end = film.count - first < wanted + clipLengths.lowerBound / 2 ? film.count : first + wanted
      let last = isPhotographs ? first + wanted : end
      let chain = DegradationChain.random(
        width: film.width / factor, height: film.height / factor, using: &random)
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
