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

/// Reads a segment back, frame by frame. Checks lengths before allocating memory.
struct SegmentReplay: ~Copyable {
  private let path: String
  private let file: DiskFile
  private let timeBase: Rational
  private var left: Int
  private var buffer: [UInt8] = []
  private var position = 0
  private var pendingMark: UInt8?
  /// The encoder's extradata.
  let extradata: [UInt8]

  private init(path: String, file: consuming DiskFile, timeBase: Rational, left: Int, extradata: [UInt8]) {
    self.path = path
    self.file = file
    self.timeBase = timeBase
    self.left = left
    self.extradata = extradata
  }

  /// - Parameter length: length of the segment in bytes; nil for the whole file.
  static func open(_ path: String, timeBase: Rational, length: Int? = nil) throws(VideoIOError)
    -> SegmentReplay
  {
    do throws(LibavError) {
      let file = try DiskFile(readingOwn: path)
      let size = Int(try file.status().st_size)
      var left = length ?? size
      guard (0...size).contains(left) else { throw LibavError.invalidData }
      let head = try file.read(12)
      guard head.count == 12, Array(head[..<8]) == segmentMagic else { throw LibavError.invalidData }
      let count = head[8...].reversed().reduce(0) { $0 << 8 | Int($1) }
      left -= 12
      guard count <= left else { throw LibavError.invalidData }
      let extradata = try file.read(count)
      return SegmentReplay(
        path: path, file: file, timeBase: timeBase, left: left - count, extradata: extradata)
    } catch {
      throw .segmentsDamaged(path: path, reason: "\(error)")
    }
  }

  /// Returns the number of frames and packets in a segment.
  static func counts(_ path: String, length: Int? = nil) throws(VideoIOError) -> (frames: Int, packets: Int) {
    var replay = try open(path, timeBase: Rational(1, 1), length: length)
    var counts = (frames: 0, packets: 0)
    while try replay.nextFrame() != nil {
      counts.frames += 1
      while try replay.nextPacket(streamIndex: 0) != nil { counts.packets += 1 }
    }
    return counts
  }

  /// Returns the next frame's time; nil at the end.
  mutating func nextFrame() throws(VideoIOError) -> FrameTime? {
    guard let mark = try nextMark() else { return nil }
    guard mark == frameMark else { throw damaged }
    pendingMark = nil
    return FrameTime(presentation: try take(Int64.self), duration: try take(Int64.self))
  }

  /// Returns the next packet of the current frame; nil before the next frame and at the end.
  mutating func nextPacket(streamIndex: Int) throws(VideoIOError) -> EncodedPacket? {
    guard let mark = try nextMark(), mark != frameMark else { return nil }
    guard mark == packetMark else { throw damaged }
    pendingMark = nil
    let (pts, dts) = (try take(Int64.self), try take(Int64.self))
    let (duration, flags) = (try take(Int64.self), try take(Int32.self))
    let count = Int(try take(UInt32.self))
    guard count <= 64 else { throw damaged }
    var sideData: [EncodedPacket.SideData] = []
    for _ in 0..<count {
      let type = try take(UInt32.self)
      sideData.append(EncodedPacket.SideData(type: type, bytes: try bytes(Int(try take(UInt32.self)))))
    }
    return EncodedPacket(
      streamIndex: streamIndex, presentation: pts, decoding: dts, duration: duration, timeBase: timeBase,
      bytes: try bytes(Int(try take(UInt32.self))), flags: flags, sideData: sideData)
  }

  private var damaged: VideoIOError { .segmentsDamaged(path: path, reason: "its records are not in order") }

  private mutating func nextMark() throws(VideoIOError) -> UInt8? {
    if let pendingMark { return pendingMark }
    if position == buffer.count, left == 0 { return nil }
    pendingMark = try take(UInt8.self)
    return pendingMark
  }

  private mutating func take<Value: FixedWidthInteger>(_: Value.Type) throws(VideoIOError) -> Value {
    let bytes = try bytes(MemoryLayout<Value>.size)
    return bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(as: Value.self)) }
  }

  private mutating func bytes(_ count: Int) throws(VideoIOError) -> [UInt8] {
    if buffer.count - position < count {
      let missing = count - (buffer.count - position)
      guard missing <= left else { throw damaged }
      buffer.removeSubrange(..<position)
      position = 0
      let wanted = min(left, max(missing, 1 << 16))
      do throws(LibavError) {
        let read = try file.read(wanted)
        guard read.count == wanted else { throw LibavError.endOfFile }
        buffer += read
        left -= wanted
      } catch {
        throw .segmentsDamaged(path: path, reason: "\(error)")
      }
    }
    defer { position += count }
    return Array(buffer[position..<position + count])
  }
}
