// SPDX-License-Identifier: Apache-2.0
package import Foundation

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A safetensors file in memory: named tensors and a string-to-string metadata table.
///
/// Layout: a little-endian 64-bit header length, a JSON header, then the tensors' bytes. Everything read from a file is
/// bounds-checked before use; sizes are checked before anything is allocated.
///
/// Files written by this type have a checksum of all bytes in their metadata, which detects flipped bits when the file is
/// read; files without a checksum are accepted.
package struct Safetensors: Sendable {
  /// Element types used in model files.
  package enum ElementType: String, Sendable, CaseIterable {
    /// 32-bit float.
    case float32 = "F32"
    /// 32-bit integer.
    case int32 = "I32"
    /// 8-bit integer.
    case int8 = "I8"
    /// 8-bit unsigned integer, also for packed nibbles.
    case uint8 = "U8"

    /// Bytes of an element.
    package var size: Int { self == .int8 || self == .uint8 ? 1 : 4 }
  }

  /// A named tensor.
  package struct Entry: Sendable, Equatable {
    /// Element type.
    package var type: ElementType
    /// Extents.
    package var shape: [Int]
    /// Little-endian elements.
    package var bytes: Data
  }

  /// Tensors by name.
  package var tensors: [String: Entry] = [:]
  /// Free text by key.
  package var metadata: [String: String] = [:]

  /// Creates an empty file.
  package init() {}

  /// Adds or replaces a tensor of floats.
  package mutating func set(_ name: String, shape: [Int], floats: [Float]) {
    tensors[name] = Entry(type: .float32, shape: shape, bytes: floats.withUnsafeBytes { Data($0) })
  }

  /// Adds or replaces a tensor of 32-bit integers.
  package mutating func set(_ name: String, shape: [Int], integers: [Int32]) {
    tensors[name] = Entry(type: .int32, shape: shape, bytes: integers.withUnsafeBytes { Data($0) })
  }

  /// Adds or replaces a tensor of bytes.
  package mutating func set(_ name: String, shape: [Int], type: ElementType, bytes: [UInt8]) {
    tensors[name] = Entry(type: type, shape: shape, bytes: Data(bytes))
  }

  /// The floats of a tensor of exactly `count` elements.
  package func floats(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let bytes = try self.bytes(name, type: .float32, count: count)
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      _ = bytes.copyBytes(to: buffer)
      initialized = count
    }
  }

  /// The floats of a tensor of exactly `count` elements, all of them finite.
  func finiteFloats(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let values = try floats(name, count: count)
    guard values.allSatisfy(\.isFinite) else { throw .missingTensor(name: name) }
    return values
  }

  /// The integers of a tensor of exactly `count` elements.
  package func integers(_ name: String, count: Int) throws(ModelError) -> [Int32] {
    let bytes = try self.bytes(name, type: .int32, count: count)
    return [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
      _ = bytes.copyBytes(to: buffer)
      initialized = count
    }
  }

  /// The bytes of a tensor of exactly `count` elements of `type`.
  package func bytes(_ name: String, type: ElementType, count: Int) throws(ModelError) -> Data {
    guard let entry = tensors[name], entry.type == type, entry.bytes.count == count * type.size else {
      throw .missingTensor(name: name)
    }
    return entry.bytes
  }

  // MARK: - File

  private struct HeaderEntry: Codable {
    var dtype: String
    var shape: [Int]
    var data_offsets: [Int]
  }

  /// The largest accepted file: far above any model, far below what exhausts memory.
  static let sizeLimit = 1 << 30

  /// The largest accepted header: a hundred times that of any model. A parsed header takes some sixty times its size.
  static let headerLimit = 1 << 20

  /// Reads a file.
  package init(path: String) throws(ModelError) { try self.init(data: Self.contents(path), path: path) }

  /// The bytes of a regular file. Rejects pipes and the like, which could block.
  private static func contents(_ path: String) throws(ModelError) -> Data {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .cannotOpen(path: path, reason: errno == ENOENT ? "no such file" : "it cannot be read")
    }
    let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .cannotOpen(path: path, reason: "it is not a file")
    }
    if status.st_size > sizeLimit { throw .damaged(path: path, detail: "larger than a model can be") }
    do {
      return try file.readToEnd() ?? Data()
    } catch {
      throw .cannotOpen(path: path, reason: "it cannot be read")
    }
  }

  /// Parses the bytes of a file; `path` is for messages.
  package init(data: Data, path: String) throws(ModelError) {
    let bytes = [UInt8](data)
    guard bytes.count >= 8 else { throw .damaged(path: path, detail: "shorter than its header") }
    let length = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(bytes.count - 8) else {
      throw .damaged(path: path, detail: "header ends beyond the file")
    }
    guard length <= UInt64(Self.headerLimit) else {
      throw .damaged(path: path, detail: "its header is larger than that of a model can be")
    }
    let start = 8 + Int(length)
    if let place = Self.checksumPlace(in: bytes[8..<start]),
      Self.checksum(bytes, place) != String(decoding: bytes[place], as: UTF8.self)
    {
      throw .damaged(path: path, detail: "its bytes are not those that were written (the checksum differs)")
    }
    guard let table = try? JSONSerialization.jsonObject(with: Data(bytes[8..<start])) as? [String: Any] else {
      throw .damaged(path: path, detail: "header is not a JSON object")
    }
    var places: [(name: String, range: Range<Int>)] = []
    for (name, value) in table {
      if name == "__metadata__" {
        guard let strings = value as? [String: String] else {
          throw .damaged(path: path, detail: "metadata are not strings")
        }
        metadata = strings
        metadata[Self.checksumKey] = nil
        continue
      }
      guard let entry = value as? [String: Any],
        let type = (entry["dtype"] as? String).flatMap(ElementType.init),
        let shape = entry["shape"] as? [Int], let offsets = entry["data_offsets"] as? [Int],
        offsets.count == 2,
        offsets[0] >= 0, offsets[1] >= offsets[0], offsets[1] <= bytes.count - start
      else { throw .damaged(path: path, detail: "tensor \(name) is not described properly") }
      var count = type.size
      for extent in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow else {
          throw .damaged(path: path, detail: "tensor \(name) has a bad shape")
        }
        count = product
      }
      guard count == offsets[1] - offsets[0] else {
        throw .damaged(path: path, detail: "tensor \(name) and its bytes differ in size")
      }
      tensors[name] = Entry(type: type, shape: shape, bytes: Data())
      places.append((name, (start + offsets[0])..<(start + offsets[1])))
    }
    // The format forbids overlaps, with which a small file could exhaust memory, and gaps.
    var end = start
    for (name, range) in places.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      if range.lowerBound != end { throw .damaged(path: path, detail: "tensors overlap or leave gaps") }
      tensors[name]?.bytes = Data(bytes[range])
      end = range.upperBound
    }
    if end != bytes.count { throw .damaged(path: path, detail: "it continues after the last tensor") }
  }

  /// The file's bytes, with a checksum. Deterministic: names are sorted.
  package func serialized() -> Data {
    var whole = self
    whole.metadata[Self.checksumKey] = String(repeating: "0", count: Self.checksumLength)
    var bytes = [UInt8](whole.serializedAsIs())
    if let place = Self.checksumPlace(in: bytes[...]) {
      bytes.replaceSubrange(place, with: Self.checksum(bytes, place).utf8)
    }
    return Data(bytes)
  }

  /// The file's bytes with unchanged metadata: without a checksum unless there is one.
  func serializedAsIs() -> Data {
    var header: [String: Any] = [:]
    var body = Data()
    for (name, entry) in tensors.sorted(by: { $0.key < $1.key }) {
      header[name] = [
        "dtype": entry.type.rawValue, "shape": entry.shape,
        "data_offsets": [body.count, body.count + entry.bytes.count],
      ]
      body.append(entry.bytes)
    }
    if !metadata.isEmpty { header["__metadata__"] = metadata }
    var json =
      (try? JSONSerialization.data(withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes]))
      ?? Data()
    // The format requires the tensors to start at a multiple of eight.
    while (json.count + 8) % 8 != 0 { json.append(0x20) }
    var file = Data()
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { file.append(contentsOf: $0) }
    return file + json + body
  }

  // MARK: - Checksum

  static let checksumKey = "videnhance.checksum"
  private static let checksumLength = 16

  /// The position of the checksum's digits; nil if there is none.
  private static func checksumPlace(in header: ArraySlice<UInt8>) -> Range<Int>? {
    let key = Array("\"\(checksumKey)\":\"".utf8)
    guard let start = header.firstRange(of: key)?.upperBound, start + checksumLength <= header.endIndex else {
      return nil
    }
    return start..<start + checksumLength
  }

  /// 64-bit FNV-1a over all bytes, with the checksum's digits as zeros: detects any change of a single byte.
  private static func checksum(_ bytes: [UInt8], _ digits: Range<Int>) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for byte in bytes[..<digits.lowerBound] { add(byte) }
    for _ in digits { add(UInt8(ascii: "0")) }
    for byte in bytes[digits.upperBound...] { add(byte) }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: checksumLength - text.count) + text
  }

  /// Writes the file atomically.
  package func write(path: String) throws(ModelError) {
    do {
      try serialized().write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw .cannotOpen(path: path, reason: "it cannot be written")
    }
  }
}
