// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A writable picture with one owner; `freeze` turns it into a `VideoFrame`.
package struct FrameBuffer: ~Copyable {
  /// Columns of luma.
  package let width: Int
  /// Rows of luma.
  package let height: Int
  /// The layout of the planes.
  package let format: PixelFormat

  private let owner: FrameOwner

  /// Creates a picture with undefined samples.
  ///
  /// - Parameters:
  ///   - like: a frame whose colour, aspect ratio, side data and metadata are copied; side data in pixel
  ///     coordinates is omitted if the size differs.
  ///   - pool: the pool to take memory from; nil for new memory.
  /// - Throws: `VideoIOError.invalidPicture` for sizes that FFmpeg cannot allocate.
  package init(
    width: Int, height: Int, format: PixelFormat, like source: VideoFrame? = nil, pool: FramePool? = nil
  ) throws(VideoIOError) {
    let owner = try FrameOwner(width: width, height: height, code: format.code, pool: pool)
    if let source {
      try copyProperties(from: source.raw, to: owner.raw)
      // A new picture has not been through the source's codec.
      av_frame_remove_side_data(owner.raw, AV_FRAME_DATA_VIDEO_ENC_PARAMS)
    }
    self.width = width
    self.height = height
    self.format = format
    self.owner = owner
  }

  /// Calls `body` with the bytes of plane `index`, top row first, and the row stride in bytes.
  ///
  /// The buffer ends with the last sample of the last row; it is valid during the call only.
  /// - Precondition: `index` is below `format.planeCount`.
  package mutating func withMutablePlane<R, E: Error>(
    _ index: Int, _ body: (UnsafeMutableRawBufferPointer, _ bytesPerRow: Int) throws(E) -> R
  ) throws(E) -> R {
    let plane = plane(of: owner.raw, index, format)
    return try body(plane.bytes, plane.bytesPerRow)
  }

  /// Calls `body` with the bytes and row strides of all planes, like `withMutablePlane` for one.
  package mutating func withMutablePlanes<R, E: Error>(
    _ body: ([(bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int)]) throws(E) -> R
  ) throws(E) -> R {
    try body((0..<format.planeCount).map { plane(of: owner.raw, $0, format) })
  }

  /// Sets the colour description.
  package mutating func setColor(_ color: ColorDescription) {
    color.store(in: owner.raw)
  }

  /// Turns the buffer into an immutable frame.
  ///
  /// - Parameters:
  ///   - presentationTimestamp: presentation time in ticks of the file's time base.
  ///   - duration: in the same ticks; 0 if unknown.
  package consuming func freeze(presentationTimestamp: Int64, duration: Int64) -> VideoFrame {
    owner.raw.pointee.pts = presentationTimestamp
    cffmpeg_frame_set_duration(owner.raw, duration)
    return VideoFrame(adopting: owner, format: format)
  }
}

extension VideoFrame {
  /// Creates a frame whose planes are filled by `fill(plane index, bytes, bytes per row)`.
  /// - Throws: `VideoIOError.invalidPicture` for sizes that FFmpeg cannot allocate.
  package static func make(
    width: Int, height: Int, format: PixelFormat, like source: VideoFrame? = nil,
    presentationTimestamp: Int64 = 0, duration: Int64 = 0, color: ColorDescription? = nil,
    fill: (Int, UnsafeMutableRawBufferPointer, _ bytesPerRow: Int) -> Void
  ) throws(VideoIOError) -> VideoFrame {
    var buffer = try FrameBuffer(width: width, height: height, format: format, like: source)
    for index in 0..<format.planeCount {
      buffer.withMutablePlane(index) { bytes, bytesPerRow in fill(index, bytes, bytesPerRow) }
    }
    if let color { buffer.setColor(color) }
    return buffer.freeze(presentationTimestamp: presentationTimestamp, duration: duration)
  }
}

/// Copies all properties except the picture: times, colour, aspect ratio, side data, metadata.
func copyProperties(
  from source: UnsafePointer<AVFrame>, to target: UnsafeMutablePointer<AVFrame>
) throws(VideoIOError) {
  guard av_frame_copy_props(target, source) >= 0 else { throw .outOfMemory }
  target.pointee.crop_top = 0
  target.pointee.crop_bottom = 0
  target.pointee.crop_left = 0
  target.pointee.crop_right = 0
  guard target.pointee.width != source.pointee.width || target.pointee.height != source.pointee.height
  else { return }
  for type in [
    AV_FRAME_DATA_PANSCAN, AV_FRAME_DATA_MOTION_VECTORS, AV_FRAME_DATA_REGIONS_OF_INTEREST,
    AV_FRAME_DATA_VIDEO_ENC_PARAMS, AV_FRAME_DATA_DETECTION_BBOXES,
  ] {
    av_frame_remove_side_data(target, type)
  }
}
