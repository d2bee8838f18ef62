// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Synchronization
internal import VideoIO

/// What the stages tell each other. The first message is `opened`, the last one `ended`; packets of other streams travel
/// among the frames, or the muxer would wait for one while the queue of the other is full.
enum StageMessage<Opening: Sendable, Frame: Sendable>: Sendable {
  case opened(Opening)
  case frame(Frame)
  case packet(EncodedPacket)
  /// How many frames there were: who takes them has counted, too.
  case ended(frames: Int)
}

/// A frame on its way from one step to the next.
struct StageFrame: Sendable {
  /// In ticks of the stage's time base.
  let presentationTimestamp, duration: Int64
  /// nil for a frame that an earlier run has finished: only its times are needed.
  let video: VideoFrame?
  /// Whether a scene begins with it, as far as that is known yet.
  var startsScene = false
  /// What went into it.
  var inputs = FrameInputs()

  /// A frame that is there.
  init(_ video: VideoFrame, startsScene: Bool = false, inputs: FrameInputs = FrameInputs()) {
    presentationTimestamp = video.presentationTimestamp
    duration = video.duration
    self.video = video
    self.startsScene = startsScene
    self.inputs = inputs
  }

  /// A frame that was finished earlier, or is made elsewhere.
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

/// Which frames went into one, by their numbers: first of the source's frames, then of the outputs of each step before. A
/// frame never has lower numbers than the one before it.
struct FrameInputs: Sendable, Equatable {
  /// The lowest and the highest numbers.
  var first: [Int] = []
  var last: [Int] = []

  /// For the outputs of each step before, the number of the first, as segments keep them.
  var origins: [Int] { Array(first.dropFirst()) }
}

/// A frame that enters a step, and what the network sees of it.
final class PreparedFrame: Sendable {
  /// The frame as it came.
  let frame: StageFrame
  /// Its number among those that enter the step.
  let index: Int
  private let picture: PlanarFrame?
  private let census: FrameCensus

  /// Takes a frame.
  /// - Parameter keepsMemory: whether the frame must stay as it came, as those do that go on to the encoder.
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

  /// The picture at its full depth.
  /// - Throws: `PipelineError.missingFrame` for one that an earlier run has finished.
  var video: VideoFrame {
    get throws(PipelineError) {
      guard let video = frame.video else { throw .missingFrame(index) }
      return video
    }
  }

  /// The picture as networks see it.
  /// - Throws: `PipelineError.missingFrame` for one that an earlier run has finished.
  var planar: PlanarFrame {
    get throws(PipelineError) {
      guard let picture else { throw .missingFrame(index) }
      return picture
    }
  }
}

extension PlanarFrame {
  /// Whether a frame has no more samples than its 8-bit copy, and the same.
  fileprivate func holdsAll(of frame: VideoFrame) -> Bool {
    let format = frame.format
    return format.bitDepth == 8 && format.planeCount == 3 && format.log2ChromaWidth == 1
      && format.log2ChromaHeight == 1 && frame.width == width && frame.height == height
  }
}

extension VideoFrame {
  /// The same with the samples of its copy.
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
  /// Whether a scene begins with the frame in the middle.
  let startsScene: Bool
  /// The frame in the middle; the first of two.
  var center: PreparedFrame { frames[(frames.count - 1) / 2] }

  /// What goes into an output of this window.
  var inputs: FrameInputs {
    guard let first = frames.min(by: { $0.index < $1.index }),
      let last = frames.max(by: { $0.index < $1.index })
    else { return FrameInputs() }
    return FrameInputs(
      first: first.frame.inputs.first + [first.index], last: last.frame.inputs.last + [last.index])
  }
}

/// Counts the prepared frames that are alive, to hold the pipeline to its memory bound.
final class FrameCensus: Sendable {
  private let counts = Mutex((now: 0, peak: 0))

  func add(_ count: Int) {
    counts.withLock {
      $0.now += count
      $0.peak = max($0.peak, $0.now)
    }
  }

  /// The largest number alive at once.
  var peak: Int { counts.withLock { $0.peak } }
}

/// Carries a network from the stage that makes it to the stage that runs it.
struct NetworkHandoff: @unchecked Sendable {
  // Unchecked: the maker keeps no reference, so one task at a time has the network.
  let network: any WindowNetwork
}

/// The video between two stages: how the frames to come look and are timed.
struct VideoShape: Sendable {
  /// The file that was read; its aspect ratio of a pixel is that of the frames.
  private(set) var media: MediaInfo
  /// Extents of the frames.
  var width, height: Int
  /// The size that the frames get next; nil keeps theirs.
  var target: FrameSize?
  /// Seconds per tick of their timestamps, frames per second on average, and the first timestamp.
  var timeBase, frameRate: Rational
  var startTime: Int64

  /// The video as it is read.
  init(_ media: MediaInfo) {
    self.media = media
    width = media.width
    height = media.height
    timeBase = media.timeBase
    frameRate = media.averageFrameRate
    startTime = media.startTime
  }

  /// The video with a frame for each field, which takes ticks of half the length. Where 32 bits do not hold those, the
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
    // A rate whose double does not fit is unknown.
    let (doubled, overflow) = frameRate.numerator.multipliedReportingOverflow(by: 2)
    result.frameRate = overflow ? Rational(0, 1) : Rational(doubled, frameRate.denominator)
    return result
  }

  /// The video after its frames got their target size.
  var resized: VideoShape {
    guard let target else { return self }
    var result = self
    (result.width, result.height, result.target) = (target.width, target.height, nil)
    result.media.sampleAspectRatio = target.sampleAspectRatio
    return result
  }

  /// Frames there will be, as far as the source lets it be known.
  var estimatedFrameCount: Int? {
    guard let count = media.estimatedFrameCount else { return nil }
    guard media.averageFrameRate.isPositive, frameRate.isPositive else { return count }
    return Int((Double(count) * frameRate.doubleValue / media.averageFrameRate.doubleValue).rounded())
  }
}

/// What the enhancing stage needs before the first window.
struct WindowOpening: Sendable {
  let shape: VideoShape
  let handoff: NetworkHandoff
  /// The size that frames get after the network; nil keeps what it makes.
  var target: FrameSize?
}

/// A channel between stages.
typealias StageChannel<Opening: Sendable, Frame: Sendable> = BoundedChannel<StageMessage<Opening, Frame>>
typealias FrameChannel = StageChannel<VideoShape, StageFrame>
typealias WindowChannel = StageChannel<WindowOpening, SceneWindow>

extension BoundedChannel {
  /// Tells how many frames there were, and that nothing follows.
  func end<Opening, Frame>(frames: Int) async throws where Element == StageMessage<Opening, Frame> {
    try await send(.ended(frames: frames))
    finish()
  }

  /// A channel for `frames` frames, and packets between them: those must not keep the next frame from being
  /// made.
  static func between<Opening, Frame>(frames: Int) -> BoundedChannel
  where Element == StageMessage<Opening, Frame> {
    let packetsPerFrame = 16
    return BoundedChannel(capacity: (frames + 1) * packetsPerFrame - 1) { message in
      switch message {
      case .packet, .ended: 1
      case .opened, .frame: packetsPerFrame
      }
    }
  }
}
