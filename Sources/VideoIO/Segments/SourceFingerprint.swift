// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Identifies a file by its content without reading all of it: a copy has the same fingerprint, wherever and
/// whenever it was made.
package struct SourceFingerprint: Sendable, Hashable, CustomStringConvertible {
  /// Length in bytes.
  package let size: Int
  /// SHA-256 of its first and last MiB and of blocks at equal distances between them; of all of it up to 8 MiB.
  package let digest: String

  private static let partLength = 1 << 20
  private static let wholeLength = 8 << 20
  private static let sampleCount = 64
  private static let sampleLength = 64 << 10
  private static let pictureLength = 4 << 10

  /// Computes the fingerprint of a file, or of a sequence of numbered pictures.
  /// - Throws: `VideoIOError.cannotOpen`, also for anything but a regular file, such as a pipe; `segmentsImpossible` for a URL.
  package init(path: String) throws(VideoIOError) {
    if InputFormats.isURL(path) {
      throw .segmentsImpossible(path: path, reason: "changes of a URL's content cannot be detected")
    }
    let digest = try Digest()
    if InputFormats.isSequence(path) {
      size = try Self.addPictures(path, to: digest)
      self.digest = digest.text
      return
    }
    do throws(LibavError) {
      // Opening a pipe without a writer would block forever.
      var status = stat()
      if stat(FileName.cString(path), &status) == 0, !FileStamp(status).isRegular {
        throw LibavError(errno: ESPIPE)
      }
      let file = try DiskFile(reading: path)
      let stamp = try FileStamp(file.status())
      guard stamp.isRegular else { throw LibavError(errno: ESPIPE) }
      size = stamp.size
      for range in Self.ranges(ofSize: stamp.size) {
        try file.seek(to: range.lowerBound)
        digest.add(try file.read(range.count))
      }
    } catch {
      throw .cannotOpen(path: path, reason: error)
    }
    self.digest = digest.text
  }

  /// Adds the number, length, beginning and end of each picture of a sequence; returns their length.
  private static func addPictures(_ path: String, to digest: borrowing Digest) throws(VideoIOError) -> Int {
    let numbers = PictureSequence.numbers(path)
    if numbers.isEmpty { throw .cannotOpen(path: path, reason: LibavError(errno: ENOENT)) }
    var sum = 0
    for number in numbers {
      let name = PictureSequence.name(path, number)
      do throws(LibavError) {
        let file = try DiskFile(reading: name)
        let size = try file.size()
        sum += size
        digest.add(Array("\(number) \(size) ".utf8))
        digest.add(try file.read(min(size, pictureLength)))
        try file.seek(to: max(0, size - pictureLength))
        digest.add(try file.read(min(size, pictureLength)))
      } catch {
        throw .cannotOpen(path: name, reason: error)
      }
    }
    return sum
  }

  /// The parts that are read.
  private static func ranges(ofSize size: Int) -> [Range<Int>] {
    guard size > wholeLength else { return [0..<size] }
    let distance = (size - 2 * partLength) / sampleCount
    let samples = (0..<sampleCount).map { partLength + $0 * distance }
    return [0..<partLength] + samples.map { $0..<$0 + sampleLength } + [size - partLength..<size]
  }

  /// `SIZE bytes, DIGEST`.
  package var description: String { "\(size) bytes, \(digest)" }
}

/// A file's length and modification time.
struct FileStamp: Equatable {
  /// Length in bytes.
  let size: Int
  /// Modification time in nanoseconds since 1970.
  let modified: Int64
  /// Whether it is a regular file, not a pipe, device or folder.
  let isRegular: Bool

  init(_ status: stat) {
    size = Int(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    #if canImport(Darwin)
      modified = Int64(status.st_mtimespec.tv_sec) * 1_000_000_000 + Int64(status.st_mtimespec.tv_nsec)
    #else
      modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    #endif
  }

  /// nil if the path does not exist or is not a regular file.
  init?(path: String) {
    var status = stat()
    guard stat(FileName.cString(path), &status) == 0 else { return nil }
    self.init(status)
    if !isRegular { return nil }
  }
}
