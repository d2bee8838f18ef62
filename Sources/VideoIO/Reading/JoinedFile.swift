// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A second file that follows the end of the first within one file, as `cat` makes it.
///
/// FFmpeg reads transport streams, Matroska and others on across the joint, but ends FLV, ASF and MP4 files there without
/// an error.
struct JoinedFile: Equatable {
  /// Where the second file begins, in bytes.
  let offset: Int
  /// The number of bytes from there to the end.
  let length: Int

  /// A container whose files FFmpeg ends at a joint.
  enum Container {
    case flv, asf, mov

    /// - Parameter name: the name of FFmpeg's demuxer.
    init?(demuxer name: String) {
      switch name {
      case "flv": self = .flv
      case "asf": self = .asf
      case _ where name.split(separator: ",").contains("mov"): self = .mov
      default: return nil
      }
    }

    /// The first bytes of a file after `prefix` bytes that may have any value.
    fileprivate var signature: (prefix: Int, bytes: [UInt8]) {
      switch self {
      case .flv: (0, Array("FLV\u{1}".utf8))
      // The GUID of the header object (Advanced Systems Format, 10.1).
      case .asf:
        (0, [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C])
      case .mov: (4, Array("ftyp".utf8))
      }
    }

    /// Whether a header that begins with the signature is complete and plausible.
    fileprivate func isHeader(_ bytes: ArraySlice<UInt8>) -> Bool {
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
      }
    }
  }

  /// Bytes that a header may need beyond its signature.
  private static let headerLength = 1024
  private static let stride = 1 << 20

  /// Looks for a second file.
  ///
  /// - Parameters:
  ///   - path: a file that can be read from any position.
  ///   - end: where the last packet of the first file ends, in bytes.
  static func find(in path: String, behind end: Int, container: Container) -> JoinedFile? {
    guard let file = try? DiskFile(reading: path), let status = try? file.status() else { return nil }
    let size = Int(status.st_size)
    var position = end
    while position < size {
      guard (try? file.seek(to: position)) != nil, let bytes = try? file.read(stride + headerLength),
        !bytes.isEmpty
      else { return nil }
      if let found = firstHeader(of: container, in: bytes) {
        return JoinedFile(offset: position + found, length: size - position - found)
      }
      position += stride
    }
    return nil
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
