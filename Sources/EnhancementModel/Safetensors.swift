// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A safetensors file in memory: named tensors and a string-to-string metadata table.
///
/// Layout: a little-endian 64-bit header length, a JSON header, then the tensors' bytes. Everything read from a file is
/// bounds-checked before use; sizes are checked before anything is allocated.
public struct Safetensors: Sendable {
  /// Element types that model files use.
  public enum ElementType: String, Sendable, CaseIterable {
    /// 32-bit float.
    case float32 = "F32"
    /// 32-bit integer.
    case int32 = "I32"
    /// 8-bit integer.
    case int8 = "I8"
    /// 8-bit unsigned integer, also for packed nibbles.
    case uint8 = "U8"

    /// Bytes of an element.
    public var size: Int { self == .int8 || self == .uint8 ? 1 : 4 }
  }

  /// A named tensor.
  public struct Entry: Sendable, Equatable {
    /// Element type.
    public var type: ElementType
    /// Extents.
    public var shape: [Int]
    /// Little-endian elements.
    public var bytes: Data
  }

  /// Tensors by name.
  public var tensors: [String: Entry] = [:]
  /// Free text by key.
  public var metadata: [String: String] = [:]

  /// An empty file.
  public init() {}

  /// Adds or replaces a tensor of floats.
  public mutating func set(_ name: String, shape: [Int], floats: [Float]) {
    tensors[name] = Entry(type: .float32, shape: shape, bytes: floats.withUnsafeBytes { Data($0) })
  }

  /// Adds or replaces a tensor of 32-bit integers.
  public mutating func set(_ name: String, shape: [Int], integers: [Int32]) {
    tensors[name] = Entry(type: .int32, shape: shape, bytes: integers.withUnsafeBytes { Data($0) })
  }

  /// Adds or replaces a tensor of bytes.
  public mutating func set(_ name: String, shape: [Int], type: ElementType, bytes: [UInt8]) {
    tensors[name] = Entry(type: type, shape: shape, bytes: Data(bytes))
  }

  /// The floats of a tensor of exactly `count` elements.
  public func floats(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let bytes = try self.bytes(name, type: .float32, count: count)
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      _ = bytes.copyBytes(to: buffer)
      initialized = count
    }
  }

  /// The floats of a tensor of exactly `count` elements, none of them infinite or no number at all.
  func finiteFloats(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let values = try floats(name, count: count)
    guard values.allSatisfy(\.isFinite) else { throw .missingTensor(name: name) }
    return values
  }

  /// The integers of a tensor of exactly `count` elements.
  public func integers(_ name: String, count: Int) throws(ModelError) -> [Int32] {
    let bytes = try self.bytes(name, type: .int32, count: count)
    return [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
      _ = bytes.copyBytes(to: buffer)
      initialized = count
    }
  }

  /// The bytes of a tensor of exactly `count` elements of `type`.
  public func bytes(_ name: String, type: ElementType, count: Int) throws(ModelError) -> Data {
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

  /// Largest file that is read: far above any model, far below what a machine cannot hold.
  static let sizeLimit = 1 << 30

  /// Reads a file.
  public init(path: String) throws(ModelError) {
    let data: Data
    do {
      // Attributes are those of a link itself, not of its target.
      let url = URL(fileURLWithPath: path).resolvingSymlinksInPath()
      let attributes = try FileManager.default.attributesOfItem(atPath: url.path)
      guard attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? Int
      else {
        throw ModelError.cannotOpen(path: path, reason: "it is not a file")
      }
      if size > Self.sizeLimit { throw ModelError.damaged(path: path, detail: "larger than a model can be") }
      data = try Data(contentsOf: url)
    } catch let error as ModelError {
      throw error
    } catch {
      let missing = !FileManager.default.fileExists(atPath: path)
      throw .cannotOpen(path: path, reason: missing ? "no such file" : "it cannot be read")
    }
    try self.init(data: data, path: path)
  }

  /// Parses the bytes of a file; `path` is for messages.
  public init(data: Data, path: String) throws(ModelError) {
    let bytes = [UInt8](data)
    guard bytes.count >= 8 else { throw .damaged(path: path, detail: "shorter than its header") }
    let length = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(bytes.count - 8) else {
      throw .damaged(path: path, detail: "header ends beyond the file")
    }
    let start = 8 + Int(length)
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
    // The format wants the bytes covered without overlaps, by which a small file could fill the memory, and gaps.
    var end = start
    for (name, range) in places.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      if range.lowerBound != end { throw .damaged(path: path, detail: "tensors overlap or leave gaps") }
      tensors[name]?.bytes = Data(bytes[range])
      end = range.upperBound
    }
    if end != bytes.count { throw .damaged(path: path, detail: "it goes on after the last tensor") }
  }

  /// The file's bytes. Equal contents give equal bytes: names are sorted.
  public func serialized() -> Data {
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
    // The format asks for the tensors to begin at a multiple of eight.
    while (json.count + 8) % 8 != 0 { json.append(0x20) }
    var file = Data()
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { file.append(contentsOf: $0) }
    return file + json + body
  }

  /// Writes the file at once or not at all.
  public func write(path: String) throws(ModelError) {
    do {
      try serialized().write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw .cannotOpen(path: path, reason: "it cannot be written")
    }
  }
}
