// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import EnhancementPipeline
internal import Foundation
internal import Videnhance
package import VideoIO

/// A source of frames to compare.
package struct Contender: Sendable {
  package enum Source: Sendable {
    /// Networks applied to the input.
    case network([EnhancementStep])
    /// A chain of FFmpeg filters applied to the input.
    case filter(String)
    /// A finished file.
    case file(String)
  }

  package var name: String
  /// Bits of its network; nil if there is none.
  package var bits: Int?
  package var source: Source
  /// Files of its networks.
  package var models: [String] = []
  /// Options for reading a finished file, and its orientation; nil uses the input's.
  package var reading: EnhancementJob.Options?
  package var orientation: PictureOrientation?

  package init(name: String, bits: Int? = nil, source: Source, models: [String] = []) {
    self.name = name
    self.bits = bits
    self.source = source
    self.models = models
  }

  /// Total bytes of its models; nil without models.
  package var modelBytes: Int? {
    models.isEmpty ? nil : models.reduce(0) { $0 + ModelDescription.size(ofFile: $1) }
  }

  /// Calls `body` with the frames in order and their times in seconds since the first, until it returns false.
  /// - Parameter options: the part of the input, and how it is deinterlaced; nil reads all of it without deinterlacing.
  package func forEachFrame(
    of input: String, options: EnhancementJob.Options? = nil, threads: Int,
    _ body: (VideoFrame, Double) throws -> Bool
  ) async throws {
    let options = options ?? EnhancementJob.Options(threads: threads)
    switch source {
    case .network(let steps):
      var frames = EnhancedFrames(of: input, steps: steps, options: options).makeAsyncIterator()
      var start: Int64?
      while let frame = try await frames.next() {
        start = start ?? frame.presentationTimestamp
        let time = Double(frame.presentationTimestamp - (start ?? 0)) * frames.timeBase.doubleValue
        guard try body(frame, time) else { return }
      }
    case .filter(let description):
      try Self.forEachFrame(ofFile: input, filter: description, options: options, threads: threads, body)
    case .file(let path):
      try Self.forEachFrame(ofFile: path, filter: nil, options: reading ?? options, threads: threads, body)
    }
  }

  package static func forEachFrame(
    ofFile path: String, filter description: String?, options: EnhancementJob.Options? = nil, threads: Int,
    _ body: (VideoFrame, Double) throws -> Bool
  ) throws {
    var frames = try FileFrames(path: path, filter: description, options: options, threads: threads)
    while let (frame, time) = try frames.next() {
      guard try body(frame, time) else { return }
    }
  }
}

/// The frames of a file in order, optionally deinterlaced and filtered, with times in seconds since the first.
package struct FileFrames: ~Copyable {
  private var source: SourceFrames
  private var filter: FrameFilter?
  private let description: String?
  private let threads: Int
  private var waiting: [VideoFrame] = []
  private var isAtEnd = false
  /// Seconds per tick of the frames' times.
  package private(set) var timeBase: Rational
  private var start: Int64?

  /// The file.
  package var info: MediaInfo { source.info }
  /// Frames per second of the file, deinterlaced; not positive if unknown.
  package var frameRate: Rational { source.frameRate }

  /// - Parameter options: the part of the file, and how it is deinterlaced; nil reads all of it without deinterlacing.
  package init(
    path: String, filter: String? = nil, options: EnhancementJob.Options? = nil, threads: Int = 0
  ) throws {
    source = try SourceFrames(
      path: path, options: options ?? EnhancementJob.Options(threads: threads), threads: threads,
      refusesFields: false, rescues: false)
    timeBase = source.timeBase
    description = filter
    self.threads = threads
    self.filter = nil
  }

  package mutating func next() throws -> (VideoFrame, Double)? {
    while waiting.isEmpty, !isAtEnd {
      guard let frame = try source.next() else {
        isAtEnd = true
        if let rest = try filter?.finish() { waiting = rest }
        break
      }
      guard let description else {
        waiting = [frame]
        break
      }
      if filter == nil {
        let made = try FrameFilter(
          description, like: frame, timeBase: source.timeBase, frameRate: source.frameRate, threads: threads)
        timeBase = made.timeBase
        filter = consume made
      }
      waiting = try filter?.push(frame) ?? []
    }
    guard !waiting.isEmpty else { return nil }
    let frame = waiting.removeFirst()
    start = start ?? frame.presentationTimestamp
    return (frame, Double(frame.presentationTimestamp - (start ?? 0)) * timeBase.doubleValue)
  }
}

/// FFmpeg filters with short names, by task.
package enum BaselineCatalog {
  /// The known names for all tasks.
  package static var names: Set<String> { Set(EnhancementTask.allCases.flatMap { names($0) }) }

  package static func names(_ task: EnhancementTask) -> [String] {
    switch task {
    case .superResolution: ["bilinear", "bicubic", "lanczos", "spline"]
    case .restoration: ["none", "hqdn3d", "nlmeans", "spp", "deblock"]
    case .denoising: ["none", "hqdn3d", "nlmeans", "bm3d", "atadenoise"]
    case .interpolation: ["minterpolate", "blend", "repeat"]
    }
  }

  /// The filter chain for tasks in a row: names joined by "+", or one name, or a chain with options; nil for an unknown name.
  package static func filter(
    _ name: String, tasks: [EnhancementTask], scale: Int, level: Float, rate: Rational
  ) -> String? {
    func known(_ part: String) -> String? {
      tasks.lazy.compactMap { filter(part, task: $0, scale: scale, level: level, rate: rate) }.first
    }
    let parts = name.split(separator: "+").map(String.init)
    // Filter options may contain a plus sign too.
    let chain = parts.compactMap(known)
    return tasks.count > 1 && chain.count == parts.count && !chain.isEmpty
      ? chain.joined(separator: ",") : known(name)
  }

  /// The filter chain for a name, or a chain with options itself; nil for an unknown name.
  package static func filter(
    _ name: String, task: EnhancementTask, scale: Int, level: Float, rate: Rational
  ) -> String? {
    if name.contains("=") { return name }
    guard names(task).contains(name) else { return nil }
    let fps = "\(rate.numerator)/\(rate.denominator)"
    switch name {
    case "bilinear", "bicubic", "lanczos", "spline": return "scale=iw*\(scale):ih*\(scale):flags=\(name)"
    case "none": return "null"
    case "nlmeans": return "nlmeans=s=\(max(1, min(30, (level * 2 / 3).rounded()))):p=7:r=15"
    case "bm3d": return "bm3d=sigma=\(level)"
    case "minterpolate": return "minterpolate=fps=\(fps):mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
    case "blend": return "minterpolate=fps=\(fps):mi_mode=blend"
    case "repeat": return "fps=\(fps)"
    default: return name
    }
  }
}
