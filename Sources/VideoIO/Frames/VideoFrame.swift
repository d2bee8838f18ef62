// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// One picture of a video, immutable and shared by reference.
///
/// `@unchecked Sendable` is safe because the underlying frame is set once in `init` and only read
/// afterwards; libav's reference counts are atomic.
package final class VideoFrame: @unchecked Sendable {
  /// Columns of luma.
  package let width: Int
  /// Rows of luma.
  package let height: Int
  /// The layout of the planes.
  package let format: PixelFormat
  /// Presentation time in ticks of the file's `MediaInfo.timeBase`.
  package let presentationTimestamp: Int64
  /// Duration in the same ticks; 0 if unknown.
  package let duration: Int64
  /// The meaning of the sample values.
  package let color: ColorDescription
  /// Whether the decoder flags the frame as interlaced.
  package let isInterlaced: Bool

  let raw: UnsafeMutablePointer<AVFrame>

  /// Adopts a frame whose layout and planes have been checked.
  init(adopting owner: consuming FrameOwner, format: PixelFormat) {
    let raw = owner.release()
    self.raw = raw
    self.format = format
    width = Int(raw.pointee.width)
    height = Int(raw.pointee.height)
    presentationTimestamp = raw.pointee.pts
    duration = cffmpeg_frame_duration(raw)
    color = ColorDescription(frame: raw)
    isInterlaced = cffmpeg_frame_is_interlaced(raw) != 0
  }

  deinit {
    var frame: UnsafeMutablePointer<AVFrame>? = raw
    av_frame_free(&frame)
  }

  /// Columns of plane `index`: 0 is luma, 1 and 2 are chroma.
  package func planeWidth(_ index: Int) -> Int { format.planeWidth(index, width: width) }

  /// Rows of plane `index`.
  package func planeHeight(_ index: Int) -> Int { format.planeHeight(index, height: height) }

  /// Calls `body` with the bytes of plane `index`, top row first, and the row stride in bytes.
  ///
  /// The buffer ends with the last sample of the last row; it is valid during the call only.
  /// - Precondition: `index` is below `format.planeCount`.
  package func withPlane<R, E: Error>(
    _ index: Int, _ body: (UnsafeRawBufferPointer, _ bytesPerRow: Int) throws(E) -> R
  ) throws(E) -> R {
    let plane = plane(of: raw, index, format)
    return try body(UnsafeRawBufferPointer(plane.bytes), plane.bytesPerRow)
  }

  /// Returns the same picture and properties at another time; the planes are shared, not copied.
  /// - Throws: `VideoIOError.outOfMemory`.
  package func retimed(presentationTimestamp: Int64, duration: Int64) throws(VideoIOError) -> VideoFrame {
    let copy = try reference()
    copy.raw.pointee.pts = presentationTimestamp
    cffmpeg_frame_set_duration(copy.raw, duration)
    return VideoFrame(adopting: copy, format: format)
  }

  /// Returns the same picture and properties backed by other memory that holds equal samples, of 8 bits in three planes, so
  /// that this frame's memory can return to the decoder.
  /// - Parameters:
  ///   - memory: all planes.
  ///   - planes: the offset of each in `memory`, and its row stride in bytes.
  ///   - owner: keeps the memory alive and unchanged; retained by the frame.
  /// - Throws: `VideoIOError.outOfMemory`.
  package func sharing(
    _ memory: UnsafeMutableRawBufferPointer, planes: [(offset: Int, bytesPerRow: Int)],
    of owner: any AnyObject & Sendable
  ) throws(VideoIOError) -> VideoFrame {
    precondition(
      planes.count == 3 && format.planeCount == 3 && format.bytesPerSample == 1, "three planes of bytes")
    for (index, plane) in planes.enumerated() {
      let bytes = plane.bytesPerRow * (planeHeight(index) - 1) + planeWidth(index)
      precondition(plane.offset >= 0 && plane.offset + bytes <= memory.count, "planes lie in the memory")
    }
    let copy = try FrameOwner()
    let to = copy.raw
    to.pointee.width = raw.pointee.width
    to.pointee.height = raw.pointee.height
    to.pointee.format = raw.pointee.format
    try copyProperties(from: raw, to: to)
    let base = memory.baseAddress!.assumingMemoryBound(to: UInt8.self)
    let held = Unmanaged.passRetained(owner as AnyObject)
    let release: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?) -> Void = {
      owner, _ in
      Unmanaged<AnyObject>.fromOpaque(owner!).release()
    }
    guard
      let buffer = av_buffer_create(base, memory.count, release, held.toOpaque(), AV_BUFFER_FLAG_READONLY)
    else {
      held.release()
      throw .outOfMemory
    }
    to.pointee.buf.0 = buffer
    (to.pointee.data.0, to.pointee.linesize.0) = (base + planes[0].offset, Int32(planes[0].bytesPerRow))
    (to.pointee.data.1, to.pointee.linesize.1) = (base + planes[1].offset, Int32(planes[1].bytesPerRow))
    (to.pointee.data.2, to.pointee.linesize.2) = (base + planes[2].offset, Int32(planes[2].bytesPerRow))
    return VideoFrame(adopting: copy, format: format)
  }

  /// A libav frame that shares the planes.
  func reference() throws(VideoIOError) -> FrameOwner {
    let copy = try FrameOwner()
    guard av_frame_ref(copy.raw, raw) >= 0 else { throw .outOfMemory }
    return copy
  }

  /// Size and layout, for messages.
  var shapeText: String { "\(width)x\(height) \(format)" }
}

/// The bytes of a plane from its first to its last sample.
func plane(
  of frame: UnsafeMutablePointer<AVFrame>, _ index: Int, _ format: PixelFormat
) -> (bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int) {
  precondition(index >= 0 && index < format.planeCount, "no plane \(index) in \(format)")
  let rowBytes = format.planeWidth(index, width: Int(frame.pointee.width)) * format.bytesPerSample
  let rows = format.planeHeight(index, height: Int(frame.pointee.height))
  let bytesPerRow = Int(cffmpeg_frame_bytes_per_row(frame, Int32(index)))
  let bytes = UnsafeMutableRawBufferPointer(
    start: cffmpeg_frame_plane(frame, Int32(index)), count: bytesPerRow * (rows - 1) + rowBytes)
  return (bytes, bytesPerRow)
}

extension ColorDescription {
  /// Reads the codes of a libav frame.
  init(frame: UnsafePointer<AVFrame>) {
    self.init(
      matrix: Int32(bitPattern: frame.pointee.colorspace.rawValue),
      primaries: Int32(bitPattern: frame.pointee.color_primaries.rawValue),
      transfer: Int32(bitPattern: frame.pointee.color_trc.rawValue),
      range: Int32(bitPattern: frame.pointee.color_range.rawValue),
      chromaLocation: Int32(bitPattern: frame.pointee.chroma_location.rawValue))
  }

  /// Reads the codes of an encoder.
  init(encoder: UnsafePointer<AVCodecContext>) {
    self.init(
      matrix: Int32(bitPattern: encoder.pointee.colorspace.rawValue),
      primaries: Int32(bitPattern: encoder.pointee.color_primaries.rawValue),
      transfer: Int32(bitPattern: encoder.pointee.color_trc.rawValue),
      range: Int32(bitPattern: encoder.pointee.color_range.rawValue),
      chromaLocation: Int32(bitPattern: encoder.pointee.chroma_sample_location.rawValue))
  }

  /// Writes the codes into a libav frame.
  func store(in frame: UnsafeMutablePointer<AVFrame>) {
    frame.pointee.colorspace = AVColorSpace(UInt32(bitPattern: matrix))
    frame.pointee.color_primaries = AVColorPrimaries(UInt32(bitPattern: primaries))
    frame.pointee.color_trc = AVColorTransferCharacteristic(UInt32(bitPattern: transfer))
    frame.pointee.color_range = AVColorRange(UInt32(bitPattern: range))
    frame.pointee.chroma_location = AVChromaLocation(UInt32(bitPattern: chromaLocation))
  }

  /// Writes the codes into an encoder.
  func store(in context: UnsafeMutablePointer<AVCodecContext>) {
    context.pointee.colorspace = AVColorSpace(UInt32(bitPattern: matrix))
    context.pointee.color_primaries = AVColorPrimaries(UInt32(bitPattern: primaries))
    context.pointee.color_trc = AVColorTransferCharacteristic(UInt32(bitPattern: transfer))
    context.pointee.color_range = AVColorRange(UInt32(bitPattern: range))
    context.pointee.chroma_sample_location = AVChromaLocation(UInt32(bitPattern: chromaLocation))
  }
}

extension VideoFrame {
  /// The frame's side data types, as FFmpeg's codes.
  var sideDataTypes: Set<UInt32> {
    Set(
      (0..<Int(max(raw.pointee.nb_side_data, 0))).compactMap {
        raw.pointee.side_data?[$0]?.pointee.type.rawValue
      })
  }
}
