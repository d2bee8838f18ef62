// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
internal import Kernels
internal import Synchronization
import VideoIO

/// A usable section of a clip, from the data folder's `sections.tsv`.
package struct FilmSection: Sendable, Hashable {
  /// Path of the clip, relative to the data folder.
  package var path: String
  /// Whether it is for training rather than validation.
  package var isTraining: Bool
  /// Start and end in seconds; a nil end means the end of the clip.
  package var start: Double
  /// See `start`.
  package var end: Double?
  /// Downscaling divisor: 2 uses the clip at half size, which hides its own compression.
  package var divisor: Int
  /// Whether to drop repeated frames.
  package var dropsDuplicates: Bool
  /// Whether its motion is natural enough to train interpolation.
  package var suitsInterpolation: Bool

  /// Reads `sections.tsv` of a data folder; without that file, all clips in the folder are used.
  ///
  /// A line consists of, separated by tabs: the clip, `train` or `val`, start, end or `-`, divisor (1 to 8), `0` or `1` for
  /// each of `dropsDuplicates` and `suitsInterpolation`, and an optional remark.
  /// - Throws: `TrainingError.badSections` for the first invalid line.
  package static func sections(of folder: URL) throws -> [FilmSection] {
    let table = folder.appendingPathComponent("sections.tsv")
    guard let text = try? String(contentsOf: table, encoding: .utf8) else {
      return MediaFolder(folder).clips.map {
        FilmSection(
          path: $0, isTraining: true, start: 0, end: nil, divisor: 1, dropsDuplicates: false,
          suitsInterpolation: true)
      }
    }
    var sections: [FilmSection] = []
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    where !line.isEmpty {
      guard let section = FilmSection(line: line) else {
        throw TrainingError.badSections(path: table.path, line: number + 1)
      }
      sections.append(section)
    }
    return sections
  }
}

extension FilmSection {
  fileprivate init?(line: Substring) {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard fields.count >= 7, !fields[0].isEmpty, ["train", "val"].contains(fields[1]),
      let start = Double(fields[2]), start.isFinite, start >= 0, let divisor = Int(fields[4]),
      (1...8).contains(divisor)
    else { return nil }
    let end = Double(fields[3])
    guard end.map({ $0 > start }) ?? (fields[3] == "-") else { return nil }
    self.init(
      path: fields[0], isTraining: fields[1] == "train", start: start, end: end, divisor: divisor,
      dropsDuplicates: fields[5] == "1", suitsInterpolation: fields[6] == "1")
  }
}

/// Media files below a folder, as sorted relative paths.
struct MediaFolder {
  let clips: [String]
  let photographs: [String]

  init(_ folder: URL) {
    let base = folder.standardizedFileURL.path
    let names = (FileManager.default.enumerator(atPath: base)?.allObjects as? [String] ?? []).sorted()
    let visible = names.filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
    photographs = visible.filter { name in
      ["jpg", "jpeg", "png", "webp"].contains((name as NSString).pathExtension.lowercased())
    }
    let film = ["mp4", "mov", "mkv", "webm", "avi", "ts", "mpg", "mpeg", "ogv", "m4v", "y4m"]
    clips = visible.filter { film.contains(($0 as NSString).pathExtension.lowercased()) }
  }
}

/// A section's frames, decoded once into a memory-mapped file of raw 8-bit 4:2:0 pictures for fast random access.
package final class Film: Sendable {
  /// The source section.
  package let section: FilmSection
  /// Extents, multiples of 4.
  package let width, height: Int
  /// Number of frames.
  package let count: Int

  /// Its name in the cache folder, without extension.
  let name: String

  /// The cache folder for frames, inside a data folder.
  static func cacheFolder(_ folder: URL) throws -> URL {
    let cache = folder.appendingPathComponent(".cache")
    try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
    return cache
  }

  /// See `sharpness(near:factor:)`; by number of the part and factor.
  private let sharpness = Mutex<[SIMD2<Int>: Float?]>([:])
  /// Frames for which sharpness is estimated together.
  private static let sharpnessSpan = 64

  private let data: Data
  private var frameBytes: Int { width * height * 3 / 2 }

  private struct Header: Codable {
    var width, height, count: Int
    // The frames' source, as far as the file name does not include it; absent in old caches.
    var path: String?
    var end: Double?
    var dropsDuplicates: Bool?

    func isMade(from section: FilmSection) -> Bool {
      path == nil
        || path == section.path && end == section.end && dropsDuplicates == section.dropsDuplicates
    }

    var isSane: Bool {
      let extents = [width, height]
      return extents.allSatisfy { $0 >= 4 && $0 < 1 << 16 && $0 % 4 == 0 } && count >= 0 && count < 1 << 30
    }
  }

  /// The sharpness of frames around `index` once they are reduced by `factor`, estimated like that of a source; nil if it
  /// is unknown.
  func sharpness(near index: Int, factor: Int) throws -> Float? {
    let part = index / Self.sharpnessSpan
    let key = SIMD2(part, factor)
    if let known = sharpness.withLock({ $0[key] }) { return known }
    let numbers = Sharpness.examinedFrames.map { $0 + part * Self.sharpnessSpan }.filter { $0 < count }
    // The extents of reduced frames are even.
    let (usableWidth, usableHeight) = (width - width % (2 * factor), height - height % (2 * factor))
    let frames = try numbers.map {
      let whole = crop($0, x: 0, y: 0, width: usableWidth, height: usableHeight)
      return factor == 1 ? whole : try Degradation.shrink(whole, factor: factor)
    }
    let result = Sharpness.estimate(frames)
    sharpness.withLock { $0[key] = .some(result) }
    return result
  }

  /// Opens a section from the cache folder, after filling the cache if needed.
  package convenience init(section: FilmSection, folder: URL) throws {
    let name = section.path.replacingOccurrences(of: "/", with: "_") + "-\(section.start)-\(section.divisor)"
    try self.init(section: section, name: name, folder: folder) {
      try Self.decode(section, folder: folder, into: $0)
    }
  }

  /// Opens frames from the cache folder, after creating the file with `fill` if needed.
  private init(
    section: FilmSection, name: String, folder: URL, fill: (_ file: URL) throws -> Header
  ) throws {
    self.section = section
    self.name = name
    let cache = try Self.cacheFolder(folder)
    let frames = cache.appendingPathComponent(name + ".yuv")
    let description = cache.appendingPathComponent(name + ".json")
    var found: Header?
    if FileManager.default.fileExists(atPath: description.path) {
      found = try? JSONDecoder().decode(Header.self, from: Data(contentsOf: description))
      guard let found, found.isSane else { throw TrainingError.badCache(path: description.path) }
    }
    let header: Header
    if let found, found.isMade(from: section) {
      header = found
    } else {
      header = try fill(frames)
      try JSONEncoder().encode(header).write(to: description, options: .atomic)
    }
    width = header.width
    height = header.height
    count = header.count
    data = count == 0 ? Data() : try Data(contentsOf: frames, options: .alwaysMapped)
    guard data.count >= count * width * height * 3 / 2 else {
      throw TrainingError.badCache(path: frames.path)
    }
  }

  /// Opens a sequence of generated clips, which are cached, each of `framesPerClip` frames.
  /// - Parameter make: creates the frames of a clip; called on several threads.
  convenience init(
    made name: String, folder: URL, width: Int, height: Int, clips: Int, framesPerClip: Int,
    make: (_ index: Int) throws -> [PlanarFrame]
  ) throws {
    let section = FilmSection(
      path: name, isTraining: true, start: 0, end: nil, divisor: 1, dropsDuplicates: false,
      suitsInterpolation: false)
    let name = "\(name)-\(clips)x\(framesPerClip)-\(width)x\(height)"
    try self.init(section: section, name: name, folder: folder) { file in
      let part = file.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier).part")
      try Data().write(to: part)
      defer { try? FileManager.default.removeItem(at: part) }
      let output = try FileHandle(forWritingTo: part)
      defer { try? output.close() }
      let stride = 4
      for first in Swift.stride(from: 0, to: clips, by: stride) {
        for clip in try Parallel.map(min(stride, clips - first), { try make(first + $0) }) {
          for frame in clip {
            try output.write(
              contentsOf: UnsafeRawBufferPointer(start: frame.luma, count: width * height * 3 / 2))
          }
        }
      }
      guard rename(part.path, file.path) == 0 else { throw TrainingError.badCache(path: file.path) }
      return Header(width: width, height: height, count: clips * framesPerClip)
    }
  }

  private static func decode(_ section: FilmSection, folder: URL, into file: URL) throws -> Header {
    let path = folder.appendingPathComponent(section.path).path
    var reader = try VideoReader(path: path)
    let info = reader.info
    let width = info.width / section.divisor / 4 * 4
    let height = info.height / section.divisor / 4 * 4
    guard width >= 32, height >= 32 else { throw TrainingError.tooSmall(path: path) }
    // Write under another name first: a run may have the old frames mapped.
    let part = file.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier).part")
    try Data().write(to: part)
    defer { try? FileManager.default.removeItem(at: part) }
    let output = try FileHandle(forWritingTo: part)
    defer { try? output.close() }
    var count = 0
    var previous = Data()
    let origin = info.startTime
    while let item = try reader.next() {
      guard case .frame(let frame) = item else { continue }
      let time = Double(frame.presentationTimestamp - origin) * info.timeBase.doubleValue
      if time < section.start - 1e-6 { continue }
      if let end = section.end, time >= end - 1e-6 { break }
      let small = try frame.converted(width: width, height: height, format: .yuv420p, scaler: .bicubic)
      let bytes = packed(small)
      if section.dropsDuplicates, isNearlyEqual(bytes, previous, lumaCount: width * height) { continue }
      try output.write(contentsOf: bytes)
      previous = bytes
      count += 1
    }
    guard rename(part.path, file.path) == 0 else { throw TrainingError.badCache(path: file.path) }
    return Header(
      width: width, height: height, count: count, path: section.path, end: section.end,
      dropsDuplicates: section.dropsDuplicates)
  }

  private static func packed(_ frame: VideoFrame) -> Data {
    var bytes = Data(capacity: frame.width * frame.height * 3 / 2)
    for plane in 0..<3 {
      let width = frame.planeWidth(plane)
      frame.withPlane(plane) { buffer, bytesPerRow in
        for row in 0..<frame.planeHeight(plane) {
          bytes.append(contentsOf: buffer[row * bytesPerRow..<row * bytesPerRow + width])
        }
      }
    }
    return bytes
  }

  /// Whether the mean absolute luma difference is below half a level, as for a repeated frame that was coded again.
  private static func isNearlyEqual(_ a: Data, _ b: Data, lumaCount: Int) -> Bool {
    guard a.count == b.count else { return false }
    return a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        var sum = 0
        for i in 0..<lumaCount { sum += abs(Int(a[i]) - Int(b[i])) }
        return sum * 2 < lumaCount
      }
    }
  }

  /// Calls `body` with the start of frame `index`: contiguous Y, U and V planes.
  package func withFrame<R>(_ index: Int, _ body: (UnsafePointer<UInt8>) -> R) -> R {
    data.withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: UInt8.self) + index * frameBytes) }
  }

  /// Mean absolute luma difference of two frames over every 8th pixel of every 8th row.
  package func difference(_ a: Int, _ b: Int) -> Float {
    withFrame(a) { a in
      withFrame(b) { b in
        var sum = 0
        var samples = 0
        for y in stride(from: 0, to: height, by: 8) {
          for x in stride(from: 0, to: width, by: 8) {
            sum += abs(Int(a[y * width + x]) - Int(b[y * width + x]))
            samples += 1
          }
        }
        return Float(sum) / Float(samples)
      }
    }
  }

  /// Copies a rectangle (even origin and extents) of frame `index`.
  package func crop(_ index: Int, x: Int, y: Int, width w: Int, height h: Int) -> PlanarFrame {
    withFrame(index) { start in
      PlanarFrame(cutFrom: start, sourceWidth: width, sourceHeight: height, x: x, y: y, width: w, height: h)
    }
  }
}

extension PlanarFrame {
  /// Copies a rectangle (even origin and extents) of a picture with contiguous planes.
  convenience init(
    cutFrom start: UnsafePointer<UInt8>, sourceWidth: Int, sourceHeight: Int, x: Int, y: Int, width: Int,
    height: Int
  ) {
    self.init(width: width, height: height)
    for row in 0..<height {
      (luma + row * width).update(from: start + (y + row) * sourceWidth + x, count: width)
    }
    for plane in 0..<2 {
      let from = start + sourceWidth * sourceHeight + plane * (sourceWidth * sourceHeight / 4)
      for row in 0..<height / 2 {
        (chroma[plane] + row * width / 2).update(
          from: from + (y / 2 + row) * sourceWidth / 2 + x / 2, count: width / 2)
      }
    }
  }
}
