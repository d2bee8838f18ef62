// SPDX-License-Identifier: Apache-2.0

/// A convolution of a `LineExecutor`, with what is fused into its end.
public struct LineStep {
  /// Codes that a step reads.
  public enum Input: Sendable {
    /// A picture that enters, by its place among the sources.
    case source(Int)
    /// An output of an earlier step.
    case codes(step: Int, output: Int)
  }

  /// Codes that a step makes: see `CodeOutput`.
  public struct Codes: Sendable {
    /// Code of real zero, and the greatest code.
    public var zeroPoint, levels: Int32
    /// Stream units to codes.
    public var multiplier: Float

    /// A format.
    public init(zeroPoint: Int32, levels: Int32, multiplier: Float) {
      self.zeroPoint = zeroPoint
      self.levels = levels
      self.multiplier = multiplier
    }
  }

  /// What computes it.
  public var kernel: IntegerConvolution
  /// One for each slot.
  public var inputs: [Input]
  /// Channels out.
  public var channels: Int
  /// The earlier step whose stream is added; nil for none.
  public var addend: Int?
  /// Whether its value is kept as a 16-bit stream.
  public var keepsStream: Bool
  /// Whether the stream is what the executor makes.
  public var isOutput: Bool
  /// Codes made of its value.
  public var codes: [Codes]

  /// A step.
  public init(
    _ kernel: IntegerConvolution, inputs: [Input], channels: Int, addend: Int? = nil,
    keepsStream: Bool = false,
    isOutput: Bool = false, codes: [Codes] = []
  ) {
    self.kernel = kernel
    self.inputs = inputs
    self.channels = channels
    self.addend = addend
    self.keepsStream = keepsStream
    self.isOutput = isOutput
    self.codes = codes
  }
}

/// Runs integer convolutions from line to line: a step follows the one it reads by one row, and of each tensor only the rows
/// between its maker and its last reader are kept. Memory is one block, made once; it grows with the width of pictures and
/// not with their height. Rows of a step are divided among threads; results do not depend on that, nor on `chunk`.
///
/// Not thread-safe: one call at a time.
public final class LineExecutor {
  /// A source: its channels (a multiple of 4) and code of zero.
  public struct Source {
    var channels: Int
    var zeroPoint: Int32

    /// A source.
    public init(channels: Int, zeroPoint: Int32) {
      self.channels = channels
      self.zeroPoint = zeroPoint
    }
  }

  /// Bytes of all rows that are kept.
  public let bytes: Int
  /// Rows that a step makes at a time.
  public let chunk: Int

  /// What is run. Others of the same shapes may take their place between pictures.
  public var steps: [LineStep]
  private let width, height, threads: Int
  private let plan: LinePlan
  private let arena: UnsafeMutableRawPointer
  private var codes: [LineBuffer]
  private var streams: [LineBuffer]

  /// Plans the memory for pictures of `width` x `height`.
  /// - Parameter chunk: nil for the usual number, a multiple of 4 for tests.
  public init(
    _ steps: [LineStep], sources: [Source], width: Int, height: Int, threads: Int, chunk: Int? = nil
  ) {
    // Less would leave threads without a band of four rows, more would leave the cache.
    let rows = chunk ?? max(32, threads * 8)
    self.chunk = rows
    self.steps = steps
    self.width = width
    self.height = height
    self.threads = threads
    let plan = LinePlan(steps, sources: sources, width: width, chunk: rows)
    self.plan = plan
    let buffers = plan.codes + plan.streams
    bytes = buffers.reduce(0) { $0 + $1.bytes }
    let arena = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 64), alignment: 64)
    self.arena = arena
    var at = 0
    let placed = buffers.map { shape in
      defer { at += shape.bytes }
      return LineBuffer(shape, memory: arena + at)
    }
    codes = Array(placed[..<plan.codes.count])
    streams = Array(placed[plan.codes.count...])
  }

  deinit { arena.deallocate() }

  /// Where rows of a source go: `origin` is the place of pixel (0, 0) of the picture, of which only the rows asked for exist.
  public struct Target: @unchecked Sendable {
    // Unchecked: who fills rows writes disjoint ones.

    /// See `Target`.
    public let origin: UnsafeMutablePointer<UInt8>
    /// Bytes from point to point and from row to row.
    public let pixelStride, rowStride: Int
  }

  /// Computes one picture.
  /// - Parameter result: `height * width * channels` values of the step that is the output.
  /// - Parameter measure: called with the number of each step around its work.
  /// - Parameter fill: writes rows of all sources, top to bottom.
  public func run(
    into result: UnsafeMutablePointer<Int16>, measure: (_ step: Int, _ work: () -> Void) -> Void = { $1() },
    fill: (_ rows: Range<Int>, _ targets: [Target]) -> Void
  ) {
    for index in codes.indices { codes[index].begin() }
    for index in streams.indices { streams[index].begin() }
    let last = plan.lags.max() ?? 0
    for time in 0..<(height + last + chunk - 1) / chunk {
      if time > 0 {
        for index in codes.indices {
          codes[index].keep(from: time * chunk - codes[index].shape.lastReader - 1)
        }
        for index in streams.indices {
          streams[index].keep(from: time * chunk - streams[index].shape.lastReader)
        }
      }
      let filled = rows(at: time, lag: 0)
      if !filled.isEmpty {
        fill(filled, codes[..<plan.sourceCount].map(\.target))
        if filled.upperBound == height {
          for index in 0..<plan.sourceCount { codes[index].close(row: height) }
        }
      }
      for index in steps.indices {
        let rows = rows(at: time, lag: plan.lags[index])
        if rows.isEmpty { continue }
        measure(index) { run(index, rows, result) }
      }
    }
  }

  private func rows(at time: Int, lag: Int) -> Range<Int> {
    let first = max(0, min(height, time * chunk - lag))
    return first..<max(first, min(height, (time + 1) * chunk - lag))
  }

  private func run(_ index: Int, _ rows: Range<Int>, _ result: UnsafeMutablePointer<Int16>) {
    let (step, use) = (steps[index], plan.uses[index])
    let first = rows.lowerBound
    func stream(_ buffer: Int) -> UnsafeMutablePointer<Int16> {
      streams[buffer].row(first).assumingMemoryBound(to: Int16.self)
    }
    let outputs = zip(step.codes, use.codes).map { format, buffer in
      CodeOutput(
        data: codes[buffer].row(first).assumingMemoryBound(to: UInt8.self),
        rowStride: codes[buffer].shape.rowBytes,
        multiplier: format.multiplier, zeroPoint: format.zeroPoint, levels: format.levels)
    }
    step.kernel.run(
      use.inputs.map {
        CodeRows(
          origin: UnsafePointer(codes[$0].row(first).assumingMemoryBound(to: UInt8.self)),
          rowStride: codes[$0].shape.rowBytes)
      }, width: width, rows: rows.count, adding: use.streamIn.map { UnsafePointer(stream($0)) },
      stream: step.isOutput ? result + first * width * step.channels : use.streamOut.map { stream($0) },
      streamChannels: step.channels, codes: outputs, threads: threads)
    if rows.upperBound == height { for buffer in use.codes { codes[buffer].close(row: height) } }
  }
}
