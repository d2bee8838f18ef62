// SPDX-License-Identifier: Apache-2.0

/// A place in a transport stream behind which its video has another codec, as `cat` of two recordings makes it.
///
/// FFmpeg ignores the new table of the program, and decodes what follows with the first decoder.
struct CodecChange: Equatable {
  /// FFmpeg's names of the codecs.
  let from, to: String
  /// Where the first table with the new codec begins, in bytes.
  let offset: Int

  /// What is read at a time; tables come several times a second.
  private static let block = 4 << 20

  /// Compares the tables at the beginning and the end of a file, and searches for the change between them.
  /// - Parameter path: a file that can be read from any position.
  /// - Returns: nil if the codec is the same, or the file is not a transport stream.
  static func find(in path: String) -> CodecChange? {
    guard let file = try? DiskFile(reading: path), let size = try? file.size() else { return nil }
    func tables(_ start: Int, _ end: Int) -> [Table] {
      guard end > start, (try? file.seek(to: start)) != nil, let bytes = try? file.read(end - start)
      else { return [] }
      return Self.tables(bytes, at: start)
    }
    guard let head = try? file.read(5 * 204), packetLength(head, at: 0) != nil,
      let first = tables(0, min(block, size)).first(where: { $0.video != nil }), let video = first.video
    else { return nil }
    let from = first.streams[video]
    /// The codec in a table; nil if the table does not have the stream.
    func codec(_ table: Table) -> String? { table.streams[video] }
    guard let last = tables(max(0, size - block), size).last(where: { codec($0) != nil }),
      let from, let to = codec(last), to != from
    else { return nil }
    // Before `low` is a table of the first codec, and at or behind `high` one of another.
    var (low, high) = (first.offset, last.offset)
    while high - low > block {
      let middle = low + (high - low) / 2
      guard let table = tables(middle, min(middle + block, high)).first(where: { codec($0) != nil }) else {
        high = middle
        continue
      }
      if codec(table) == from { low = table.offset } else { high = table.offset }
    }
    let change = tables(low, min(high + block, size)).first { codec($0).map { $0 != from } ?? false }
    return change.flatMap { table in
      codec(table).map { CodecChange(from: from, to: $0, offset: table.start) }
    }
  }

  /// A program map table (ISO 13818-1, 2.4.4.8).
  private struct Table {
    /// Where its packet begins.
    var offset: Int
    /// Where the tables begin of which it is one: a program association table comes in front.
    var start: Int
    /// The codecs of the video streams by their packet identifiers.
    var streams: [Int: String] = [:]
    /// The first video stream.
    var video: Int?
  }

  /// Codecs by stream type. MPEG-1 and MPEG-2 have one decoder, and FFmpeg writes the same type for both.
  private static let codecs: [UInt8: String] = [
    0x01: "mpeg2video", 0x02: "mpeg2video", 0x10: "mpeg4", 0x1B: "h264", 0x24: "hevc", 0x33: "vvc",
    0x42: "cavs", 0xD1: "dirac", 0xD2: "avs2", 0xEA: "vc1",
  ]

  /// The distance of packets, which in `.m2ts` have a time in front and elsewhere may have a checksum behind.
  private static func packetLength(_ bytes: [UInt8], at start: Int) -> (first: Int, length: Int)? {
    for length in [188, 192, 204] where bytes.count >= start + 5 * length {
      let first = (start..<start + length).first { place in
        (0..<4).allSatisfy { bytes[place + $0 * length] == 0x47 }
      }
      if let first { return (first, length) }
    }
    return nil
  }

  private static func tables(_ bytes: [UInt8], at offset: Int) -> [Table] {
    guard let (first, length) = packetLength(bytes, at: 0) else { return [] }
    let lead = length == 192 ? 4 : 0
    var result: [Table] = []
    var association: Int?
    for place in stride(from: first, through: bytes.count - 188, by: length) {
      // Packets that begin a unit, with a payload.
      guard bytes[place] == 0x47, bytes[place + 1] & 0xC0 == 0x40, bytes[place + 3] & 0x10 != 0 else {
        continue
      }
      let isAssociation = bytes[place + 1] & 0x1F == 0 && bytes[place + 2] == 0
      if isAssociation { association = place }
      let end = place + 188
      var section = place + 4
      if bytes[place + 3] & 0x20 != 0 { section += 1 + Int(bytes[section]) }
      guard section < end else { continue }
      section += 1 + Int(bytes[section])
      // The table's number, and the bits in front of the length.
      guard section + 12 <= end, bytes[section] == 2, bytes[section + 1] & 0xC0 == 0x80 else { continue }
      func number(_ place: Int) -> Int { Int(bytes[place] & 0x0F) << 8 | Int(bytes[place + 1]) }
      let sectionEnd = min(section + 3 + number(section + 1) - 4, end)
      let start = association.map { place - $0 <= 4 * length ? $0 : place } ?? place
      var table = Table(offset: offset + place - lead, start: offset + max(0, start - lead))
      var entry = section + 12 + number(section + 10)
      while entry + 5 <= sectionEnd {
        let stream = Int(bytes[entry + 1] & 0x1F) << 8 | Int(bytes[entry + 2])
        if let codec = codecs[bytes[entry]] {
          table.streams[stream] = codec
          table.video = table.video ?? stream
        }
        entry += 5 + number(entry + 3)
      }
      result.append(table)
    }
    return result
  }
}
