// SPDX-License-Identifier: Apache-2.0

/// A second file that follows the end of the first within one file, as `cat` makes it.
///
/// FFmpeg reads transport streams, Matroska and others on across the joint, but ends FLV, ASF and MP4 files there without
/// an error, and AVI files where another container follows.
struct JoinedFile: Equatable {
  /// Where the second file begins, in bytes.
  let offset: Int
  /// The number of bytes from there to the end.
  let length: Int

  /// A container that a second file may have.
  enum Container: CaseIterable {
    case flv, asf, mov, matroska, avi, transportStream, ogg, mxf, nut

    /// The first bytes of a file after `prefix` bytes that may have any value.
    fileprivate var signature: (prefix: Int, bytes: [UInt8]) {
      switch self {
      case .flv: (0, Array("FLV\u{1}".utf8))
      // The GUID of the header object (Advanced Systems Format, 10.1).
      case .asf:
        (0, [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C])
      case .mov: (4, Array("ftyp".utf8))
      case .matroska: (0, [0x1A, 0x45, 0xDF, 0xA3])
      case .avi: (8, Array("AVI LIST".utf8))
      case .transportStream: (0, [0x47])
      // Version 0, first page of a stream.
      case .ogg: (0, Array("OggS".utf8) + [0, 2])
      // The key of a header partition pack (SMPTE 377, 6.1).
      case .mxf: (0, [0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0D, 0x01, 0x02, 0x01, 0x01, 0x02])
      case .nut: (0, Array("nut/multimedia container\0".utf8))
      }
    }

    /// Whether a header that begins with the signature is complete and plausible.
    fileprivate func isHeader(_ bytes: ArraySlice<UInt8>) -> Bool {
      if self == .transportStream {
        // Ten packets, the first of which begins the program's tables. Without a copy, since every 256th byte comes here.
        let first = bytes.startIndex
        return bytes.count > 9 * 188 && bytes[first + 1] & 0xE0 == 0x40
          && (0..<10).allSatisfy { bytes[first + $0 * 188] == 0x47 }
      }
      let header = Array(bytes)
      switch self {
      case .flv:
        // Flags for sound and picture, then the header's own length.
        return header.count > 9 && header[4] & ~5 == 0 && Array(header[5..<9]) == [0, 0, 0, 9]
      case .asf:
        return header.count > 24
      case .mov:
        // The box has brands of four letters, and another box behind it.
        let size = header.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard size >= 16, size <= 512, size % 4 == 0, header.count >= size + 8 else { return false }
        return header[size + 4..<size + 8].allSatisfy { $0 >= 0x20 && $0 < 0x7F }
      case .matroska:
        // The header names the type of document.
        let text = String(decoding: header.prefix(80), as: UTF8.self)
        return text.contains("matroska") || text.contains("webm")
      case .avi: return header.starts(with: Array("RIFF".utf8))
      case .transportStream, .ogg, .mxf, .nut: return true
      }
    }
  }

  /// What may follow a file that FFmpeg ends at a joint, by the name of its demuxer; nil if FFmpeg reads on. It does so in AVI
  /// files joined to AVI.
  static func containers(behind demuxer: String) -> [Container]? {
    let isMovie = demuxer.split(separator: ",").contains("mov")
    guard isMovie || ["flv", "asf", "avi"].contains(demuxer) else { return nil }
    return Container.allCases.filter { demuxer != "avi" || $0 != .avi }
  }

  /// Bytes that a header may need beyond its signature.
  private static let headerLength = 2048
  private static let stride = 1 << 20

  /// Looks for a second file.
  ///
  /// - Parameters:
  ///   - path: a file that can be read from any position.
  ///   - end: where the last packet of the first file ends, in bytes.
  static func find(in path: String, behind end: Int, containers: [Container]) -> JoinedFile? {
    guard let file = try? DiskFile(reading: path), let size = try? file.size() else { return nil }
    var position = end
    while position < size {
      guard (try? file.seek(to: position)) != nil, let bytes = try? file.read(stride + headerLength),
        !bytes.isEmpty
      else { return nil }
      if let found = containers.compactMap({ firstHeader(of: $0, in: bytes) }).min() {
        return JoinedFile(offset: position + found, length: size - position - found)
      }
      position += stride
    }
    return nil
  }

  /// Looks for a second Matroska file, which FFmpeg reads on with the parameters of the first.
  ///
  /// - Parameters:
  ///   - gap: the bytes between two packets, in which its header would be.
  ///   - parameters: byte strings in the header of the first file; a second one that has them all does not count.
  static func matroska(in path: String, gap: Range<Int>, lacking parameters: [[UInt8]]) -> JoinedFile? {
    guard let file = try? DiskFile(reading: path), let size = try? file.size() else { return nil }
    var position = gap.lowerBound
    while position < gap.upperBound {
      guard (try? file.seek(to: position)) != nil,
        let bytes = try? file.read(min(stride + headerLength, gap.upperBound - position)), !bytes.isEmpty
      else { return nil }
      if let found = firstHeader(of: .matroska, in: bytes) {
        let start = position + found
        guard (try? file.seek(to: start)) != nil,
          let header = try? file.read(min(stride, gap.upperBound - start)),
          parameters.contains(where: { !contains(header, $0) })
        else { return nil }
        return JoinedFile(offset: start, length: size - start)
      }
      position += stride
    }
    return nil
  }

  private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    guard bytes.count >= part.count, let first = part.first else { return part.isEmpty }
    return (0...bytes.count - part.count).contains { bytes[$0] == first && bytes[$0...].starts(with: part) }
  }

  private static func firstHeader(of container: Container, in bytes: [UInt8]) -> Int? {
    let (prefix, signature) = container.signature
    guard bytes.count >= prefix + signature.count else { return nil }
    return bytes.withUnsafeBufferPointer { buffer in
      (0...min(buffer.count - prefix - signature.count, stride - 1)).first { start in
        buffer[start + prefix] == signature[0]
          && signature.indices.allSatisfy { buffer[start + prefix + $0] == signature[$0] }
          && container.isHeader(bytes[start...].prefix(headerLength))
      }
    }
  }
}
