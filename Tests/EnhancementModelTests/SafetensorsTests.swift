// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  private var sample: Safetensors {
    var file = Safetensors()
    file.metadata = ["key": "value", "unicode": "ü → 1/2 \"quoted\""]
    file.set("floats", shape: [2, 3], floats: [1, -0.0, .infinity, 0x1p-133, 3.4e38, -2.5])
    file.set("integers", shape: [3], integers: [.min, 0, .max])
    file.set("bytes", shape: [5], type: .uint8, bytes: [0, 1, 127, 128, 255])
    file.set("signed", shape: [1, 2], type: .int8, bytes: [0x80, 0x7f])
    file.set("empty", shape: [0, 4], floats: [])
    return file
  }

  /// Creates a file with the given header.
  private func file(_ header: String, body: Int = 16, length: UInt64? = nil) -> Data {
    var data = Data()
    withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { data.append(contentsOf: $0) }
    return data + Data(header.utf8) + Data(repeating: 7, count: body)
  }

  private func expectDamaged(_ data: Data, _ comment: Comment) {
    do {
      _ = try Safetensors(data: data, path: "x.safetensors")
      Issue.record("accepted: \(comment)")
    } catch {
      guard case .damaged(let path, let detail) = error else {
        Issue.record("\(error): \(comment)")
        return
      }
      #expect(path == "x.safetensors" && !detail.isEmpty)
    }
  }

  @Test func contentsRoundTrip() throws {
    let bench = try Workbench()
    let file = sample
    try file.write(path: bench.path("a.safetensors"))
    let read = try Safetensors(path: bench.path("a.safetensors"))
    #expect(read.tensors == file.tensors)
    #expect(read.metadata == file.metadata)
    let floats = try read.floats("floats", count: 6)
    #expect(
      floats.map(\.bitPattern) == ([1, -0.0, .infinity, 0x1p-133, 3.4e38, -2.5] as [Float]).map(\.bitPattern))
    #expect(try read.integers("integers", count: 3) == [.min, 0, .max])
    #expect(try [UInt8](read.bytes("bytes", type: .uint8, count: 5)) == [0, 1, 127, 128, 255])
    #expect(try read.floats("empty", count: 0).isEmpty)
  }

  /// Flips each bit of a file: it is refused or, if the flip changes the name of the checksum, read with all
  /// its tensors.
  @Test func flippedBitIsDetected() throws {
    let bytes = [UInt8](sample.serialized())
    #expect(String(decoding: bytes, as: UTF8.self).contains(#""videnhance.checksum":""#))
    var accepted = 0
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        guard let read = try? Safetensors(data: Data(changed), path: "x") else { continue }
        accepted += 1
        #expect(read.tensors == sample.tensors)
      }
    }
    #expect(accepted <= 8 * "\"videnhance.checksum\":\"".count, "\(accepted)")
  }

  /// Files written by other programs, or by this one before checksums were introduced.
  @Test func checksumIsOptional() throws {
    let bytes = file(#"{"a":{"dtype":"I32","shape":[4],"data_offsets":[0,16]}}"#)
    #expect(try Safetensors(data: bytes, path: "x").tensors.count == 1)
  }

  @Test func hugeHeaderIsRefused() {
    let header = "{" + String(repeating: " ", count: 1 << 20) + "}"
    expectDamaged(file(header), "a header of a megabyte")
  }

  @Test func equalContentsGiveEqualBytes() {
    let forward = sample
    var backward = Safetensors()
    for (name, entry) in forward.tensors.sorted(by: { $0.key > $1.key }) { backward.tensors[name] = entry }
    for (key, value) in forward.metadata.sorted(by: { $0.key > $1.key }) { backward.metadata[key] = value }
    let bytes = forward.serialized()
    #expect(bytes == backward.serialized())
    // The format requires tensors to begin at multiples of eight.
    let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect((8 + header) % 8 == 0)
    var other = forward
    other.metadata["key"] = "another"
    #expect(other.serialized() != bytes)
  }

  @Test func emptyFileRoundTrips() throws {
    let read = try Safetensors(data: Safetensors().serialized(), path: "x")
    #expect(read.tensors.isEmpty && read.metadata.isEmpty)
  }

  @Test func truncatedFileIsDamaged() {
    let whole = sample.serialized()
    for count in 0..<whole.count { expectDamaged(whole.prefix(count), "cut at \(count) of \(whole.count)") }
    expectDamaged(whole + [0], "a byte too many")
  }

  private static let absurdLengths: [UInt64] = [
    .max, .max - 7, 1 << 63, 1 << 62, 1 << 40, 0x7fff_ffff_ffff_fff8, 200, 4,
  ]

  @Test(arguments: absurdLengths)
  func headerOfExtremeLengthIsDamaged(_ length: UInt64) {
    expectDamaged(
      file(#"{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}"#, length: length), "\(length)")
  }

  private static let damagedHeaders: [String] = [
    "", "[]", "3", "null", #""text""#, "{", #"{"a":3}"#, #"{"a":{}}"#, #"{"__metadata__":3}"#,
    #"{"__metadata__":{"a":3}}"#, #"{"__metadata__":{"a":{"b":"c"}}}"#,
    // Types.
    #"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"f32","shape":[4],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":8,"shape":[16],"data_offsets":[0,16]}}"#,
    #"{"a":{"shape":[16],"data_offsets":[0,16]}}"#,
    // Shapes.
    #"{"a":{"dtype":"U8","shape":[-16],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[-4,-4],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[0,-1],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[15],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"F32","shape":[16],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":16,"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":["16"],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[15.5],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[1e99],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,16]}}"#,
    // Offsets.
    #"{"a":{"dtype":"U8","shape":[17],"data_offsets":[0,17]}}"#,
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[-1,15]}}"#,
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[16,0]}}"#,
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[16]}}"#,
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[0.5,16.5]}}"#,
    #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]}}"#,
    #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[-9223372036854775808,9223372036854775807]}}"#,
    #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[16,24]}}"#,
    // Bytes shared by two tensors, and bytes that belong to none.
    #"{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}"#,
    #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#, "{}",
  ]

  @Test(arguments: damagedHeaders)
  func aDamagedHeaderIsRefused(_ header: String) {
    expectDamaged(file(header), "\(header)")
  }

  @Test func unusualHeadersAreAccepted() throws {
    // Spaces after the header, unsorted names, and an empty tensor at any place.
    let header = #"""
      {"b":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},"e":{"dtype":"F32","shape":[3,0],"data_offsets":[8,8]},
       "a":{"dtype":"U8","shape":[2,2,2],"data_offsets":[8,16]},"__metadata__":{}}
      """#
    let read = try Safetensors(data: file(header + "     "), path: "x")
    #expect(read.tensors.count == 3)
    #expect(try read.integers("b", count: 2) == [0x0707_0707, 0x0707_0707])
  }

  @Test func deepOrBinaryHeadersAreRefused() {
    for text in [String(repeating: "[", count: 1 << 20), String(repeating: #"{"a":"#, count: 200_000)] {
      expectDamaged(file(text), "deep")
    }
    expectDamaged(Data([8, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0xff, count: 8)), "not UTF-8")
  }

  @Test func tensorsAreCheckedAgainstExpectedShapes() throws {
    let file = sample
    let wrong: [() throws -> Void] = [
      { _ = try file.floats("absent", count: 6) },
      { _ = try file.floats("floats", count: 5) },
      { _ = try file.floats("floats", count: 7) },
      { _ = try file.floats("integers", count: 3) },
      { _ = try file.integers("floats", count: 6) },
      { _ = try file.bytes("bytes", type: .int8, count: 5) },
    ]
    for call in wrong {
      do {
        try call()
        Issue.record("a tensor of another kind was handed out")
      } catch {
        guard case ModelError.missingTensor? = error as? ModelError else {
          Issue.record("\(error)")
          continue
        }
      }
    }
  }

  @Test func errorsOfOpeningContainTheReason() throws {
    let bench = try Workbench()
    #expect(throws: ModelError.cannotOpen(path: bench.path("none"), reason: "no such file")) {
      try Safetensors(path: bench.path("none"))
    }
    #expect(throws: ModelError.self) { try Safetensors(path: bench.directory.path) }
    #expect(throws: ModelError.self) { try sample.write(path: bench.path("absent/folder/file")) }
  }

  /// A sparse file stands for one that is too large to read; a link to it must not bypass the size check.
  @Test func hugeFilesAreRefusedUnread() throws {
    let bench = try Workbench()
    try Data().write(to: URL(fileURLWithPath: bench.path("huge")))
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: bench.path("huge")))
    try handle.truncate(atOffset: 1 << 36)
    try handle.close()
    try FileManager.default.createSymbolicLink(
      atPath: bench.path("link"), withDestinationPath: bench.path("huge"))
    for name in ["huge", "link"] {
      #expect(throws: ModelError.damaged(path: bench.path(name), detail: "larger than a model can be")) {
        try Safetensors(path: bench.path(name))
      }
    }
    #expect(throws: ModelError.self) { try Safetensors(path: "/dev/zero") }
  }
}
