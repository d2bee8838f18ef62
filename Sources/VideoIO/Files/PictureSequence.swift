// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Writes numbered pictures, such as `frames/%05d.png`, counted from 1.
///
/// Each picture is first written with the suffix `.part`. `commit` renames all of them; without it they are
/// removed when the value is destroyed.
struct PictureSequence: ~Copyable {
  private let path: String
  private let isOverwriting: Bool
  private var count = 0
  private var isCommitted = false
  private static let ending = ".part"

  /// Creates an empty sequence.
  /// - Throws: `VideoIOError.outputExists` if the first picture exists and must not be replaced.
  static func open(_ path: String, overwrite: Bool) throws(VideoIOError) -> PictureSequence {
    try validate(path, overwrite: overwrite)
    return PictureSequence(path: path, overwrite: overwrite)
  }

  private init(path: String, overwrite: Bool) {
    self.path = path
    isOverwriting = overwrite
  }

  deinit {
    if !isCommitted {
      for number in 1..<count + 1 { unlink(FileName.cString(Self.name(path, number) + Self.ending)) }
    }
  }

  /// Checks that no file has the first picture's name, and that none of the pictures is one of the input's.
  static func validate(_ path: String, input: String? = nil, overwrite: Bool) throws(VideoIOError) {
    if let input, InputFormats.isSequence(input) {
      let folders = [input, path].map { OutputFile.resolvingLink(OutputFile.directory(of: $0)) }
      func file(_ path: String) -> Substring {
        path.dropFirst(path.lastIndex(of: "/").map { path[...$0].count } ?? 0)
      }
      let numbers = numbers(input)
      let names = Set(numbers.map { file(name(input, $0)) })
      if folders[0] == folders[1],
        numbers.indices.contains(where: { names.contains(file(name(path, $0 + 1))) })
      {
        throw .outputIsInput(path: path)
      }
    }
    let first = name(path, 1)
    if !overwrite, FilePlace(path: first) != nil { throw .outputExists(path: first) }
  }

  /// Returns whether a name is a pattern for numbered pictures.
  static func isPattern(_ path: String) -> Bool {
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    return name.matches(of: /%(0[0-9]+)?d/).count == 1
  }

  /// Returns the pattern for FFmpeg's muxer, as a URL.
  static func url(_ path: String) -> String { "file:" + pattern(path) + ending }

  /// Returns the path as a pattern for FFmpeg, with the percent signs of folders escaped.
  static func pattern(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return path }
    return path[...slash].split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%")
      + path[path.index(after: slash)...]
  }

  /// Returns the path of a picture.
  static func name(_ path: String, _ number: Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 8192) { buffer in
      guard let base = buffer.baseAddress, let number = Int32(exactly: number),
        av_get_frame_filename(base, Int32(buffer.count), FileName.cString(pattern(path)), number) >= 0
      else { return path }
      return FileName.text(UnsafeBufferPointer(start: base, count: strlen(base)).map(UInt8.init(bitPattern:)))
    }
  }

  /// Returns the numbers of the pictures that exist, in order.
  static func numbers(_ path: String) -> [Int] {
    guard let stream = opendir(FileName.cString(OutputFile.directory(of: path))) else { return [] }
    defer { closedir(stream) }
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    guard let field = name.firstMatch(of: /%(0[0-9]+)?d/)?.range else { return [] }
    let (before, after) = (name[..<field.lowerBound], name[field.upperBound...])
    var result: [Int] = []
    while let entry = readdir(stream) {
      let found = FileName.text(withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
      guard found.hasPrefix(before), found.hasSuffix(after), found.count > before.count + after.count,
        let number = Int(found.dropFirst(before.count).dropLast(after.count)), number >= 0,
        self.name(path, number) == path[..<name.startIndex] + found
      else { continue }
      result.append(number)
    }
    return result.sorted()
  }

  /// Records that the muxer begins another picture.
  mutating func begin() { count += 1 }

  /// Renames all pictures to their final names.
  /// - Throws: `VideoIOError.cannotWrite`; `outputExists` if a file of that name was created in the meantime.
  consuming func commit() throws(VideoIOError) {
    // All or none, unless another program interferes.
    for target in (1..<count + 1).map({ Self.name(path, $0) }) where !isOverwriting {
      if FilePlace(path: target) != nil { throw .outputExists(path: target) }
    }
    for target in (1..<count + 1).map({ Self.name(path, $0) }) {
      let (from, to) = (FileName.cString(target + Self.ending), FileName.cString(target))
      do throws(LibavError) {
        try DiskFile(reading: target + Self.ending).synchronize()
        guard rename(from, to) == 0 else { throw LibavError(errno: errno) }
      } catch {
        throw .cannotWrite(path: target, reason: error)
      }
    }
    do throws(LibavError) {
      try DiskFile.synchronizeFolder(OutputFile.directory(of: path))
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
    isCommitted = true
  }
}
