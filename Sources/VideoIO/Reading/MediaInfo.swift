// SPDX-License-Identifier: Apache-2.0

/// What a file holds, and how its picture is coded.
public struct MediaInfo: Sendable {
  /// The path as given.
  public let path: String
  /// FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
  public let containerName: String
  /// FFmpeg's name of the video codec, such as `h264`.
  public let codecName: String
  /// The video stream's index.
  public let videoStreamIndex: Int

  /// Columns of luma.
  public let width: Int
  /// Rows of luma.
  public let height: Int
  /// The layout of the frames that the reader gives.
  public let format: PixelFormat
  /// FFmpeg's name of the layout that the decoder gives; where it is none that the package works on, frames
  /// are converted to `format`.
  public let sourceFormatName: String
  /// Whether frames are converted to another layout on reading.
  public let isConverted: Bool
  /// What the sample values of the frames mean.
  public let color: ColorDescription
  /// Width over height of a pixel; unknown is taken as square by players.
  public let sampleAspectRatio: Rational
  /// Seconds per tick of the frames' timestamps.
  public let timeBase: Rational
  /// Frames per second on average; not positive if unknown. For display and encoders' hints, never for timelines.
  public let averageFrameRate: Rational
  /// The video's first timestamp, in ticks.
  public let startTime: Int64
  /// Length in seconds as the container announces it; nil if it does not.
  public let duration: Double?
  /// The number of frames as the container announces it, or length times average rate; nil if neither is known.
  public let estimatedFrameCount: Int?
  /// Whether the file asks players to rotate or mirror the picture.
  public let hasDisplayMatrix: Bool
  /// Degrees by which players rotate the picture counterclockwise; 0 without a display matrix.
  public let rotation: Double
  /// Whether this is a photograph, not a video.
  public let isStillImage: Bool
  /// All streams but the video, in the order of the file.
  public let otherStreams: [StreamInfo]

  /// What the writer needs to make a file like this one.
  let source: SourceFile
}

/// A stream that is copied as it is.
public struct StreamInfo: Sendable, Hashable {
  /// What a stream carries.
  public enum Kind: String, Sendable {
    /// A second video.
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
    /// Something FFmpeg does not know.
    case unknown
  }

  /// The index in the file.
  public let index: Int
  /// What it carries.
  public let kind: Kind
  /// FFmpeg's name of its codec, such as `aac`.
  public let codecName: String
  /// The language as tagged, such as `eng`.
  public let language: String?
  /// The title as tagged.
  public let title: String?

  /// A description of a stream.
  public init(index: Int, kind: Kind, codecName: String, language: String? = nil, title: String? = nil) {
    self.index = index
    self.kind = kind
    self.codecName = codecName
    self.language = language
    self.title = title
  }
}

/// The parts of a file that have no public face and travel from reader to writer.
struct SourceFile: Sendable {
  var streams: [SourceStream]
  let metadata: [MetadataEntry]
  let chapters: [SourceChapter]
  /// Programs of a transport stream.
  var programs: [SourceProgram] = []
  /// The earliest timestamp of all streams, in microseconds.
  let startTime: Int64
  /// Whether the container's clock starts anywhere and may jump, as in MPEG transport streams.
  let hasTimestampJumps: Bool
  /// Whether the video's frames come at equal distances, as far as FFmpeg can tell.
  var hasConstantRate = false
  /// Where the part that is read begins, in microseconds of the container's clock; nil for the whole file.
  var trimStart: Int64?
}

/// A stream of the source with all that describes it.
struct SourceStream: Sendable {
  let info: StreamInfo
  let parameters: CodecParameters
  let timeBase: Rational
  let averageFrameRate: Rational
  let sampleAspectRatio: Rational
  let disposition: Int32
  let metadata: [MetadataEntry]
  var sideData: [EncodedPacket.SideData]
  /// The demuxer reads it for its own use, as with QuickTime's chapter tracks.
  let isDiscarded: Bool
  /// The coded picture, if this is cover art.
  let coverArt: [UInt8]
}

extension SourceStream {
  /// Whether transparency lies in blocks beside the packets, as with VP8 and VP9, where FFmpeg's own decoders do not look.
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
