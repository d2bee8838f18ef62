// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Recognizes files that were cut off, for containers whose demuxer ends there without an error.
enum FileEnd {
  /// Whether the file is shorter than its structure requires.
  /// - Parameters:
  ///   - end: where the last packet ends, in bytes.
  ///   - isShort: whether packets end before the announced end.
  static func isCutOff(_ demuxer: borrowing Demuxer, end: Int, isShort: Bool) -> Bool {
    if demuxer.formatName == "yuv4mpegpipe" {
      // Whatever follows the last frame, apart from its own short header, is the beginning of another one.
      guard end > 0, let pb = demuxer.context.pointee.pb else { return false }
      return avio_seek(pb, 0, SEEK_CUR) > Int64(end) + 16
    }
    guard demuxer.isOnDisk, let file = try? DiskFile(reading: demuxer.path), let size = try? file.size()
    else { return false }
    func bytes(_ position: Int, _ count: Int) -> [UInt8] {
      guard position >= 0, (try? file.seek(to: position)) != nil else { return [] }
      return (try? file.read(count)) ?? []
    }
    switch demuxer.formatName {
    case "asf": return asfLength(bytes(0, 65536)).map { $0 > size } ?? false
    case "avi":
      // A length of 0 or of all ones is one that was never written.
      let header = bytes(0, 8)
      guard header.count == 8 else { return false }
      let length = number(header[4...])
      return length > 0 && length < 0xFFFF_FFF0 && length + 8 > size + 1
    case "flv":
      // The file ends with the length of the last tag, whose own header says the same.
      guard isShort else { return false }
      let tail = bytes(size - 4, 4)
      guard tail.count == 4 else { return false }
      let length = number(Array(tail.reversed())[...])
      let tag = bytes(size - 4 - length, 4)
      guard length > 11, tag.count == 4, [8, 9, 18].contains(tag[0] & 0x1F) else { return true }
      return number(Array(tag[1...].reversed())[...]) + 11 != length
    default: return false
    }
  }

  /// A little-endian number.
  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// The file's length according to the File Properties Object of ASF (Advanced Systems Format, 3.2); nil if it is unknown.
  private static func asfLength(_ header: [UInt8]) -> Int? {
    let identity: [UInt8] = [
      0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11, 0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65,
    ]
    guard header.count > 104,
      let place = (0..<header.count - 104).first(where: { header[$0...].starts(with: identity) })
    else { return nil }
    // Behind identity, size and file ID; the flag of live broadcasts, whose length is invalid, comes later.
    let isBroadcast = header[place + 88] & 1 != 0
    let length = number(header[place + 40..<place + 47])
    return isBroadcast || length == 0 ? nil : length
  }
}
