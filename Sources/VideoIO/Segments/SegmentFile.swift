// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

// Segment file format, little-endian: the magic, the encoder's extradata, then records in the order of encoding. A record
// is a frame (1: presentation time, duration) or a packet that the encoder returned after that frame (2: times, flags,
// side data, bytes). No container preserves all of this and the order, which make a resumed output identical to the byte.
private let segmentMagic: [UInt8] = Array("VENHSEG1".utf8)
private let frameMark: UInt8 = 1
private let packetMark: UInt8 = 2

/// Presentation time and duration of a frame, in ticks.
package struct FrameTime: Hashable, Sendable {
  package let presentation: Int64
  package let duration: Int64

  package init(presentation: Int64, duration: Int64) {
    self.presentation = presentation
    self.duration = duration
  }
}

/// Writes a segment.
struct SegmentRecorder: ~Copyable {
  /// Its file.
  let path: String
  private let file: DiskFile
  private let digest: Digest
  private var buffer: [UInt8] = []
  private var byteCount = 0
  private(set) var frameCount = 0
  private(set) var packetCount = 0
  /// The first and the last frame in presentation order.
  private(set) var firstFrame, lastFrame: FrameTime?
  private var isComplete = false

  static func open(
    path: String, extradata: [UInt8], permissions: FilePermissions = FilePermissions()
  ) throws(VideoIOError) -> SegmentRecorder {
    let digest = try Digest()
    do throws(LibavError) {
      return SegmentRecorder(
        path: path, file: try DiskFile(creating: path, permissions: permissions), digest: digest,
        extradata: extradata)
    } catch {
      throw .cannotCreate(path: path, reason: error)
    }
  }

  private init(path: String, file: consuming DiskFile, digest: consuming Digest, extradata: [UInt8]) {
    self.path = path
    self.file = file
    self.digest = digest
    buffer = segmentMagic
    append(UInt32(extradata.count))
    buffer += extradata
  }

  deinit { if !isComplete { unlink(FileName.cString(path)) } }

  mutating func add(_ frame: FrameTime) throws(VideoIOError) {
    frameCount += 1
    firstFrame = firstFrame ?? frame
    lastFrame = frame
    buffer.append(frameMark)
    append(frame.presentation)
    append(frame.duration)
    try flush(above: 1 << 20)
  }

  mutating func add(_ packet: UnsafePointer<AVPacket>, timeBase: Rational) throws(VideoIOError) {
    packetCount += 1
    let encoded = EncodedPacket(packet, timeBase: timeBase)
    buffer.append(packetMark)
    append(packet.pointee.pts)
    append(packet.pointee.dts)
    append(encoded.duration)
    append(encoded.flags)
    append(UInt32(encoded.sideData.count))
    for entry in encoded.sideData {
      append(entry.type)
      append(UInt32(entry.bytes.count))
      buffer += entry.bytes
    }
    append(UInt32(encoded.bytes.count))
    buffer += encoded.bytes
    try flush(above: 1 << 20)
  }

  /// Flushes the segment to the disk.
  /// - Parameter trailer: written after the segment, of which it is not a part.
  /// - Throws: `VideoIOError.cannotWrite`; `segmentsImpossible` if the encoder returned fewer packets than
  ///   frames.
  consuming func finish(
    origins: [Int], trailer: (SegmentManifest.Segment) -> [UInt8] = { _ in [] }
  ) throws(VideoIOError) -> SegmentManifest.Segment {
    guard packetCount == frameCount else {
      throw .segmentsImpossible(
        path: path, reason: "the encoder made \(packetCount) packets from \(frameCount) frames")
    }
    try flush(above: 0)
    let segment = SegmentManifest.Segment(
      frames: frameCount, bytes: byteCount, sha256: digest.text, origins: origins)
    do throws(LibavError) {
      try file.write(trailer(segment))
      try file.synchronize()
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
    isComplete = true
    return segment
  }

  private mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
  }

  private mutating func flush(above limit: Int) throws(VideoIOError) {
    guard buffer.count > limit else { return }
    do throws(LibavError) {
      try file.write(buffer)
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
    digest.add(buffer)
    byteCount += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }
}

/// What was found in a segment's file.
struct SegmentFinding: Equatable {
  /// SHA-256 of its bytes.
  var sha256: String
  /// Number of frames and packets; nil if the bytes are no segment.
  var frames, packets: Int?
}

/// Reads a segment back, frame by frame. Checks lengths before allocating memory.
struct SegmentReplay: ~Copyable {
  private let path: String
  private let file: DiskFile
  private let timeBase: Rational
  /// Number of bytes of the segment that are not in the buffer yet.
  private var left: Int
  private var buffer: [UInt8] = []
  private var position = 0
  private var pendingMark: UInt8?
  /// Of all bytes read, if it is computed.
  private let digest: Digest
  private let isDigesting: Bool
  /// The encoder's extradata.
  private(set) var extradata: [UInt8] = []

  /// Bytes read at a time.
  private static let blockLength = 1 << 18

  private init(
    path: String, file: consuming DiskFile, timeBase: Rational, left: Int, digest: consuming Digest,
    isDigesting: Bool
  ) {
    self.path = path
    self.file = file
    self.timeBase = timeBase
    self.left = left
    self.digest = digest
    self.isDigesting = isDigesting
  }

  /// - Parameter length: length of the segment in bytes; nil for the whole file.
  static func open(_ path: String, timeBase: Rational, length: Int? = nil) throws(VideoIOError)
    -> SegmentReplay
  {
    var replay = try begin(path, timeBase: timeBase, length: length, isDigesting: false)
    do throws(LibavError) {
      try replay.readHead()
    } catch {
      throw .segmentsDamaged(path: path, reason: "\(error)")
    }
    return replay
  }

  private static func begin(
    _ path: String, timeBase: Rational, length: Int?, isDigesting: Bool
  ) throws(VideoIOError) -> SegmentReplay {
    let digest = try Digest()
    do throws(LibavError) {
      let file = try DiskFile(readingOwn: path)
      let size = Int(try file.status().st_size)
      let left = length ?? size
      guard (0...size).contains(left) else { throw LibavError.invalidData }
      return SegmentReplay(
        path: path, file: file, timeBase: timeBase, left: left, digest: digest, isDigesting: isDigesting)
    } catch {
      throw .segmentsDamaged(path: path, reason: "\(error)")
    }
  }

  /// Reads a segment once, from its first byte to its last.
  /// - Parameter length: length of the segment in bytes; nil for the whole file.
  /// - Throws: `VideoIOError.segmentsDamaged` if the file cannot be read to its end.
  static func examine(_ path: String, length: Int? = nil) throws(VideoIOError) -> SegmentFinding {
    var replay = try begin(path, timeBase: Rational(1, 1), length: length, isDigesting: true)
    let counts = replay.counts()
    do throws(LibavError) {
      while replay.left > 0 {
        replay.position = replay.buffer.count
        try replay.fill(1)
      }
    } catch {
      throw .segmentsDamaged(path: path, reason: "\(error)")
    }
    return SegmentFinding(
      sha256: replay.digest.text, frames: counts?.frames, packets: counts?.packets)
  }

  /// Returns the number of frames and packets; nil if the bytes are no segment.
  private mutating func counts() -> (frames: Int, packets: Int)? {
    do throws(LibavError) {
      try readHead()
      var counts = (frames: 0, packets: 0)
      while let mark = try nextMark() {
        pendingMark = nil
        switch mark {
        case frameMark:
          try skip(16)
          counts.frames += 1
        case packetMark where counts.frames > 0:
          try skip(28)
          for _ in 0..<(try sideDataCount()) {
            try skip(4)
            try skip(Int(take(UInt32.self)))
          }
          try skip(Int(take(UInt32.self)))
          counts.packets += 1
        default: return nil
        }
      }
      return counts
    } catch {
      return nil
    }
  }

  /// Returns the next frame's time; nil at the end.
  mutating func nextFrame() throws(VideoIOError) -> FrameTime? {
    do throws(LibavError) {
      guard let mark = try nextMark() else { return nil }
      guard mark == frameMark else { throw LibavError.invalidData }
      pendingMark = nil
      return FrameTime(presentation: try take(Int64.self), duration: try take(Int64.self))
    } catch {
      throw damaged(error)
    }
  }

  /// Returns the next packet of the current frame; nil before the next frame and at the end.
  mutating func nextPacket(streamIndex: Int) throws(VideoIOError) -> EncodedPacket? {
    do throws(LibavError) {
      guard let mark = try nextMark(), mark != frameMark else { return nil }
      guard mark == packetMark else { throw LibavError.invalidData }
      pendingMark = nil
      let (pts, dts) = (try take(Int64.self), try take(Int64.self))
      let (duration, flags) = (try take(Int64.self), try take(Int32.self))
      var sideData: [EncodedPacket.SideData] = []
      for _ in 0..<(try sideDataCount()) {
        let type = try take(UInt32.self)
        sideData.append(EncodedPacket.SideData(type: type, bytes: try bytes(Int(take(UInt32.self)))))
      }
      return EncodedPacket(
        streamIndex: streamIndex, presentation: pts, decoding: dts, duration: duration, timeBase: timeBase,
        bytes: try bytes(Int(take(UInt32.self))), flags: flags, sideData: sideData)
    } catch {
      throw damaged(error)
    }
  }

  private func damaged(_ error: LibavError) -> VideoIOError {
    let isOrder = error.code == LibavError.invalidData.code
    return .segmentsDamaged(path: path, reason: isOrder ? "its records are not in order" : "\(error)")
  }

  // MARK: - Bytes

  private mutating func readHead() throws(LibavError) {
    guard try bytes(8) == segmentMagic else { throw LibavError.invalidData }
    extradata = try bytes(Int(take(UInt32.self)))
  }

  private mutating func sideDataCount() throws(LibavError) -> Int {
    let count = Int(try take(UInt32.self))
    guard count <= 64 else { throw LibavError.invalidData }
    return count
  }

  private mutating func nextMark() throws(LibavError) -> UInt8? {
    if let pendingMark { return pendingMark }
    if position == buffer.count, left == 0 { return nil }
    pendingMark = try take(UInt8.self)
    return pendingMark
  }

  private mutating func take<Value: FixedWidthInteger>(_: Value.Type) throws(LibavError) -> Value {
    let count = MemoryLayout<Value>.size
    try fill(count)
    defer { position += count }
    return buffer.withUnsafeBytes {
      Value(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Value.self))
    }
  }

  private mutating func bytes(_ count: Int) throws(LibavError) -> [UInt8] {
    try fill(count)
    defer { position += count }
    return Array(buffer[position..<position + count])
  }

  /// Passes over bytes, however many, in the buffer's memory.
  private mutating func skip(_ count: Int) throws(LibavError) {
    guard count <= left + buffer.count - position else { throw LibavError.invalidData }
    var missing = count
    while missing > buffer.count - position {
      missing -= buffer.count - position
      position = buffer.count
      try fill(1)
    }
    position += missing
  }

  /// Reads until `count` bytes from the position on are in the buffer.
  private mutating func fill(_ count: Int) throws(LibavError) {
    let missing = count - (buffer.count - position)
    if missing <= 0 { return }
    guard missing <= left else { throw LibavError.invalidData }
    buffer.removeSubrange(..<position)
    position = 0
    let wanted = min(left, max(missing, Self.blockLength))
    let read = try file.append(wanted, to: &buffer)
    guard read == wanted else { throw LibavError.endOfFile }
    left -= wanted
    if isDigesting { buffer.withUnsafeBytes { digest.add(.init(rebasing: $0.suffix(wanted))) } }
  }
}
