// SPDX-License-Identifier: Apache-2.0

/// Describes a file's contents and the format of its video.
package struct MediaInfo: Sendable {
  /// The path as given.
  package let path: String
  /// FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
  package let containerName: String
  /// FFmpeg's name of the video codec, such as `h264`.
  package let codecName: String
  /// The video stream's index.
  package let videoStreamIndex: Int

  /// Columns of luma.
  package let width: Int
  /// Rows of luma.
  package let height: Int
  /// The layout of the frames that the reader returns.
  package let format: PixelFormat
  /// FFmpeg's name of the decoder's output layout; if it is not a supported one, frames are converted to
  /// `format`.
  package let sourceFormatName: String
  /// Whether frames are converted to another layout on reading.
  package let isConverted: Bool
  /// The meaning of the frames' sample values.
  package let color: ColorDescription
  /// Width over height of a pixel; players treat unknown as square.
  package var sampleAspectRatio: Rational
  /// Seconds per tick of the frames' timestamps.
  package let timeBase: Rational
  /// Average frames per second; not positive if unknown. For display and as an encoder hint, never for timelines.
  package let averageFrameRate: Rational
  /// The video's first timestamp, in ticks.
  package let startTime: Int64
  /// Length in seconds as announced by the container; nil if unknown.
  package let duration: Double?
  /// The number of frames as announced by the container, or length times average rate; nil if neither is known.
  package let estimatedFrameCount: Int?
  /// Whether the file instructs players to rotate or mirror the picture.
  package let hasDisplayMatrix: Bool
  /// Degrees by which players rotate the picture counterclockwise; 0 without a display matrix.
  package let rotation: Double
  /// Whether this is a still image rather than a video.
  package let isStillImage: Bool
  /// All streams except the video, in file order.
  package let otherStreams: [StreamInfo]

  /// What the writer needs to create a file like this one.
  let source: SourceFile
}

/// A stream that is copied without change.
package struct StreamInfo: Sendable, Hashable {
  /// The kind of a stream's content.
  package enum Kind: String, Sendable {
    /// Another video stream.
    case video
    /// Cover art: one picture.
    case coverArt = "cover art"
    /// Sound.
    case audio
    /// Subtitles, as text or as pictures.
    case subtitle
    /// Timecode, sensor data and the like.
    case data
    /// A file within the file, such as a font.
    case attachment
    /// A kind unknown to FFmpeg.
    case unknown
  }

  /// The index in the file.
  package let index: Int
  /// The kind of its content.
  package let kind: Kind
  /// FFmpeg's name of its codec, such as `aac`.
  package let codecName: String
  /// The language as tagged, such as `eng`.
  package let language: String?
  /// The title as tagged.
  package let title: String?

  /// Describes a stream.
  package init(index: Int, kind: Kind, codecName: String, language: String? = nil, title: String? = nil) {
    self.index = index
    self.kind = kind
    self.codecName = codecName
    self.language = language
    self.title = title
  }
}

/// Internal properties of a file that are passed from reader to writer.
struct SourceFile: Sendable {
  var streams: [SourceStream]
  let metadata: [MetadataEntry]
  let chapters: [SourceChapter]
  /// Programs of a transport stream.
  var programs: [SourceProgram] = []
  /// The earliest timestamp of all streams, in microseconds.
  let startTime: Int64
  /// Whether the container's clock may start anywhere and jump, as in MPEG transport streams.
  let hasTimestampJumps: Bool
  /// Whether the video has a constant frame rate, as far as FFmpeg can determine.
  var hasConstantRate = false
  /// Start of the part to read, in microseconds of the container's clock; nil for the whole file.
  var trimStart: Int64?
}

/// A stream of the source with all of its properties.
struct SourceStream: Sendable {
  let info: StreamInfo
  let parameters: CodecParameters
  let timeBase: Rational
  let averageFrameRate: Rational
  let sampleAspectRatio: Rational
  let disposition: Int32
  let metadata: [MetadataEntry]
  var sideData: [EncodedPacket.SideData]
  /// Whether the demuxer consumes it itself, as with QuickTime's chapter tracks.
  let isDiscarded: Bool
  /// The coded picture, if this is cover art.
  let coverArt: [UInt8]
}

extension SourceStream {
  /// Whether alpha is stored in side blocks, as with VP8 and VP9; FFmpeg's native decoders ignore those.
  var hasSeparateAlpha: Bool { metadata.contains { $0.key.lowercased() == "alpha_mode" && $0.value == "1" } }
}

/// A program of a transport stream.
struct SourceProgram: Sendable {
  let id: Int32
  /// Indices of its streams.
  let streams: [Int]
  let metadata: [MetadataEntry]
}

/// A chapter of the source.
struct SourceChapter: Sendable {
  let id: Int64
  let timeBase: Rational
  let start: Int64
  let end: Int64
  let metadata: [MetadataEntry]
}

extension MediaInfo {
  /// Describes frames that do not come from a file.
  /// - Parameter first: the first of them.
  package init(supplied first: VideoFrame, timeBase: Rational) {
    self.init(
      path: "the supplied frames", containerName: "none", codecName: "none", videoStreamIndex: 0,
      width: first.width, height: first.height, format: first.format, sourceFormatName: first.format.name,
      isConverted: false, color: first.color, sampleAspectRatio: Rational(0, 1), timeBase: timeBase,
      averageFrameRate: Rational(0, 1), startTime: first.presentationTimestamp, duration: nil,
      estimatedFrameCount: nil, hasDisplayMatrix: false, rotation: 0, isStillImage: false,
      otherStreams: [],
      source: SourceFile(streams: [], metadata: [], chapters: [], startTime: 0, hasTimestampJumps: false))
  }
}
