// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Synchronization
internal import VideoIO

/// Messages between stages, beginning with `opened` and ending with `ended`. Packets of other streams travel
/// among the frames; otherwise the muxer could wait for one stream while the queue of another is full.
enum StageMessage<Opening: Sendable, Frame: Sendable>: Sendable {
  case opened(Opening)
  case frame(Frame)
  /// Frames without pictures, made elsewhere: only their times are needed. Many at a time, since handing each to the
  /// next thread would cost far more than what is done with it.
  case skipped([Frame])
  case packet(EncodedPacket)
  /// The number of frames sent, which the receiver compares with its own count.
  case ended(frames: Int)
}

/// A frame between two steps.
struct StageFrame: Sendable {
  /// In ticks of the stage's time base.
  let presentationTimestamp, duration: Int64
  /// The picture; nil if an earlier run has finished the frame and only its times are needed.
  let video: VideoFrame?
  /// Whether the frame starts a scene, as far as known.
  var startsScene = false
  /// The frames it was made from.
  var inputs = FrameInputs()

  /// Creates a frame with a picture.
  init(_ video: VideoFrame, startsScene: Bool = false, inputs: FrameInputs = FrameInputs()) {
    presentationTimestamp = video.presentationTimestamp
    duration = video.duration
    self.video = video
    self.startsScene = startsScene
    self.inputs = inputs
  }

  /// Creates a frame without a picture, for work done earlier or elsewhere.
  init(
    skipped presentationTimestamp: Int64, duration: Int64, startsScene: Bool = false,
    inputs: FrameInputs = FrameInputs()
  ) {
    self.presentationTimestamp = presentationTimestamp
    self.duration = duration
    video = nil
    self.startsScene = startsScene
    self.inputs = inputs
  }
}

/// The numbers of the frames that one was made from: of the source, then of the outputs of each previous
/// step. They never decrease from one frame to the next.
struct FrameInputs: Sendable, Equatable {
  /// Lowest and highest numbers.
  var first: [Int] = []
  var last: [Int] = []

  /// For the outputs of each previous step, the lowest number, as stored in segments.
  var origins: [Int] { Array(first.dropFirst()) }
}

/// An input frame of a step with its 8-bit copy for the network.
final class PreparedFrame: Sendable {
  /// The original frame.
  let frame: StageFrame
  /// Its number among the input frames of the step.
  let index: Int
  private let picture: PlanarFrame?
  private let census: FrameCensus

  /// Prepares a frame.
  /// - Parameter keepsMemory: whether the original samples are kept, as required for frames passed on to the
  ///   encoder.
  init(_ frame: StageFrame, index: Int, census: FrameCensus, keepsMemory: Bool = true) throws(VideoIOError) {
    let picture = frame.video.map { PlanarFrame($0) }
    if let video = frame.video, let picture, !keepsMemory, picture.holdsAll(of: video) {
      let rest = try video.sharing(picture)
      self.frame = StageFrame(rest, startsScene: frame.startsScene, inputs: frame.inputs)
    } else {
      self.frame = frame
    }
    self.index = index
    self.census = census
    self.picture = picture
    census.add(1)
  }

  deinit { census.add(-1) }

  /// The picture at full depth.
  /// - Throws: `PipelineError.missingFrame` if the frame has no picture.
  var video: VideoFrame {
    get throws(PipelineError) {
      guard let video = frame.video else { throw .missingFrame(index) }
      return video
    }
  }

  /// The picture as 8-bit 4:2:0, the input of networks.
  /// - Throws: `PipelineError.missingFrame` if the frame has no picture.
  var planar: PlanarFrame {
    get throws(PipelineError) {
      guard let picture else { throw .missingFrame(index) }
      return picture
    }
  }
}

extension PlanarFrame {
  /// Returns whether the 8-bit copy contains all samples of `frame`.
  fileprivate func holdsAll(of frame: VideoFrame) -> Bool {
    let format = frame.format
    return format.bitDepth == 8 && format.planeCount == 3 && format.log2ChromaWidth == 1
      && format.log2ChromaHeight == 1 && frame.width == width && frame.height == height
  }
}

extension VideoFrame {
  /// Returns the frame with its samples replaced by those of its copy, which frees memory.
  fileprivate func sharing(_ copy: PlanarFrame) throws(VideoIOError) -> VideoFrame {
    let luma = copy.width * copy.height
    return try sharing(
      UnsafeMutableRawBufferPointer(start: copy.luma, count: luma + luma / 2),
      planes: [(0, copy.width), (luma, copy.gridWidth), (luma + luma / 4, copy.gridWidth)], of: copy)
  }
}

/// The frames around one frame.
struct SceneWindow: Sendable {
  let frames: [PreparedFrame]
  /// Whether the middle frame starts a scene.
  let startsScene: Bool
  /// The middle frame; the first of two.
  var center: PreparedFrame { frames[(frames.count - 1) / 2] }

  /// The numbers of the frames in this window.
  var inputs: FrameInputs {
    guard let first = frames.min(by: { $0.index < $1.index }),
      let last = frames.max(by: { $0.index < $1.index })
    else { return FrameInputs() }
    return FrameInputs(
      first: first.frame.inputs.first + [first.index], last: last.frame.inputs.last + [last.index])
  }
}

/// Counts the prepared frames alive, to check the pipeline's memory bound.
final class FrameCensus: Sendable {
  private let counts = Mutex((now: 0, peak: 0))

  func add(_ count: Int) {
    counts.withLock {
      $0.now += count
      $0.peak = max($0.peak, $0.now)
    }
  }

  /// The highest number alive at once.
  var peak: Int { counts.withLock { $0.peak } }
}

/// Carries a network from the stage that creates it to the stage that runs it.
struct NetworkHandoff: @unchecked Sendable {
  // Unchecked: the creator keeps no reference, so only one task uses the network.
  let network: any WindowNetwork
}

/// The properties of the video between two stages: extents and timing.
struct VideoShape: Sendable {
  /// The file that was read, with the pixel aspect ratio of the frames.
  private(set) var media: MediaInfo
  /// Extents of the frames.
  var width, height: Int
  /// Size to which the next stage resizes the frames; nil keeps their size.
  var target: FrameSize?
  /// Seconds per tick, average frames per second, and the first timestamp.
  var timeBase, frameRate: Rational
  var startTime: Int64

  /// Creates the shape of the source.
  init(_ media: MediaInfo) {
    self.media = media
    width = media.width
    height = media.height
    timeBase = media.timeBase
    frameRate = media.averageFrameRate
    startTime = media.startTime
  }

  /// The shape with a frame per field, with ticks of half the length. If those do not fit into 32 bits, the
  /// deinterlacer refuses the first frame.
  var withFieldsAsFrames: VideoShape {
    var result = self
    if timeBase.numerator % 2 == 0 {
      result.timeBase = Rational(timeBase.numerator / 2, timeBase.denominator)
    } else {
      let (denominator, overflow) = timeBase.denominator.multipliedReportingOverflow(by: 2)
      if !overflow { result.timeBase = Rational(timeBase.numerator, denominator) }
    }
    let (start, startOverflow) = startTime.multipliedReportingOverflow(by: 2)
    if !startOverflow { result.startTime = start }
    // A rate that cannot be doubled is unknown.
    let (doubled, overflow) = frameRate.numerator.multipliedReportingOverflow(by: 2)
    result.frameRate = overflow ? Rational(0, 1) : Rational(doubled, frameRate.denominator)
    return result
  }

  /// The shape after resizing to `target`.
  var resized: VideoShape {
    guard let target else { return self }
    var result = self
    (result.width, result.height, result.target) = (target.width, target.height, nil)
    result.media.sampleAspectRatio = target.sampleAspectRatio
    return result
  }

  /// Expected number of frames, if the source allows an estimate.
  var estimatedFrameCount: Int? {
    guard let count = media.estimatedFrameCount else { return nil }
    guard media.averageFrameRate.isPositive, frameRate.isPositive else { return count }
    return Int((Double(count) * frameRate.doubleValue / media.averageFrameRate.doubleValue).rounded())
  }
}

/// The information the enhancing stage needs before the first window.
struct WindowOpening: Sendable {
  let shape: VideoShape
  let handoff: NetworkHandoff
  /// Target size of the step's output; nil keeps the size of the network's output.
  var target: FrameSize?
}

/// A channel between stages.
typealias StageChannel<Opening: Sendable, Frame: Sendable> = BoundedChannel<StageMessage<Opening, Frame>>
typealias FrameChannel = StageChannel<VideoShape, StageFrame>
typealias WindowChannel = StageChannel<WindowOpening, SceneWindow>

extension BoundedChannel {
  /// Sends the number of frames and ends the channel.
  func end<Opening, Frame>(frames: Int) async throws where Element == StageMessage<Opening, Frame> {
    try await send(.ended(frames: frames))
    finish()
  }

  /// Creates a channel for `frames` frames and the packets between them, which must not delay the next frame.
  static func between<Opening, Frame>(frames: Int) -> BoundedChannel
  where Element == StageMessage<Opening, Frame> {
    let packetsPerFrame = 16
    return BoundedChannel(capacity: (frames + 1) * packetsPerFrame - 1) { message in
      switch message {
      case .packet, .ended: 1
      case .opened, .frame, .skipped: packetsPerFrame
      }
    }
  }
}
