// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
public import Kernels

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
/// not with their height. Threads take bands of rows from one list (`LineSchedule`) and wait for what a band reads, not for each
/// other; results do not depend on that, nor on `chunk`.
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
  /// Rows that a step makes before the next one's turn.
  public let chunk: Int

  /// What is run. Others of the same shapes may take their place between pictures.
  public var steps: [LineStep]
  private let width, height: Int
  private let plan: LinePlan
  private let schedule: LineSchedule
  private let arena: AlignedBuffer
  private let codes, streams: [LineBuffer]
  private let workers: [LineWorker]
  private let progress: LineProgress

  /// Plans the memory for pictures of `width` x `height`.
  /// - Parameter chunk: nil for the usual number, a multiple of 4 for tests.
  public init(
    _ steps: [LineStep], sources: [Source], width: Int, height: Int, threads: Int, chunk: Int? = nil
  ) {
    // Two bands a thread: while one thread ends a step, the others find the next one's first rows ready.
    let rows = chunk ?? max(8, (2 * threads * LineSchedule.bandHeight + 3) / 4 * 4)
    self.chunk = rows
    self.steps = steps
    self.width = width
    self.height = height
    let plan = LinePlan(steps, sources: sources, width: width, chunk: rows)
    self.plan = plan
    schedule = LineSchedule(plan, height: height, chunk: rows)
    let buffers = plan.codes + plan.streams
    bytes = buffers.reduce(0) { $0 + $1.bytes }
    arena = AlignedBuffer(bytes: bytes)
    let first = arena.pointer
    var at = 0
    let placed = buffers.map { shape in
      defer { at += shape.bytes }
      return LineBuffer(shape, memory: first + at)
    }
    codes = Array(placed[..<plan.codes.count])
    streams = Array(placed[plan.codes.count...])
    let scratch = steps.map(\.kernel.scratchBytes).max() ?? 0
    let result = steps.map { $0.isOutput ? width * $0.channels * LineSchedule.edgeBandHeight : 0 }.max() ?? 0
    workers = (0..<max(1, threads)).map { _ in
      LineWorker(scratchBytes: scratch, resultValues: result, sources: sources.count, steps: steps.count)
    }
    progress = LineProgress(workers: workers.count)
  }

  /// Where rows of a source go: `origin` is the place of pixel (0, 0) of the picture, of which only the rows asked for exist.
  public struct Target: @unchecked Sendable {
    // Unchecked: who fills rows writes disjoint ones.

    /// See `Target`.
    public let origin: UnsafeMutablePointer<UInt8>
    /// Bytes from point to point and from row to row.
    public let pixelStride, rowStride: Int

    /// A target.
    public init(origin: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int) {
      self.origin = origin
      self.pixelStride = pixelStride
      self.rowStride = rowStride
    }
  }

  /// Where the values of the step that is the output go, `width * channels` a row.
  public enum Result {
    /// Into memory for all rows.
    case whole(UnsafeMutablePointer<Int16>)
    /// A few rows at a time to who uses them at once; called by any thread, with disjoint rows.
    case rows((_ rows: Range<Int>, _ values: UnsafePointer<Int16>) -> Void)
  }

  /// What time is spent on.
  public enum Part: Hashable {
    /// Filling sources, a step, or what takes rows of the result.
    case filling
    case step(Int)
    case taking
  }

  /// Computes one picture.
  /// - Parameter timing: told at the end how long each part took, divided by the number of threads; nil measures nothing.
  /// - Parameter fill: writes a few rows of all sources (from a multiple of 4 on); called by any thread, with disjoint rows.
  public func run(
    into result: Result, timing: ((Part, Duration) -> Void)? = nil,
    fill: (_ rows: Range<Int>, _ targets: UnsafeBufferPointer<Target>) -> Void
  ) {
    progress.begin()
    for worker in workers { worker.begin(isMeasuring: timing != nil) }
    withoutActuallyEscaping(fill) { fill in
      // Bands are disjoint, and each waits for what it reads.
      nonisolated(unsafe) let (shared, result, fill) = (self, result, fill)
      Parallel.forEach(workers.count, threads: workers.count) { shared.work($0, result, fill) }
    }
    guard let timing else { return }
    for index in 0..<steps.count + 2 {
      let part: Part = index == 0 ? .filling : index <= steps.count ? .step(index - 1) : .taking
      timing(part, workers.reduce(Duration.zero) { $0 + $1.spent[index] } / workers.count)
    }
  }

  /// What one thread does: takes bands until there are none.
  private func work(
    _ number: Int, _ result: Result, _ fill: (Range<Int>, UnsafeBufferPointer<Target>) -> Void
  ) {
    let worker = workers[number]
    progress.enter(number)
    while true {
      let index = progress.take(number)
      if index >= schedule.bands.count { break }
      let band = schedule.bands[index]
      progress.wait(number, until: band.after)
      if band.step < 0 {
        worker.measure(0) { self.fill(band.rows, worker, fill) }
      } else {
        worker.measure(band.step + 1) { run(band, worker, result) }
        if case .rows(let taker) = result, steps[band.step].isOutput {
          worker.measure(steps.count + 1) { taker(band.rows, worker.result) }
        }
      }
    }
    progress.leave(number)
  }

  private func fill(
    _ rows: Range<Int>, _ worker: LineWorker, _ fill: (Range<Int>, UnsafeBufferPointer<Target>) -> Void
  ) {
    for index in 0..<plan.sourceCount {
      if rows.lowerBound == 0 { codes[index].makeBorder(row: -1) }
      worker.targets[index] = codes[index].target(rows)
    }
    fill(rows, UnsafeBufferPointer(start: worker.targets, count: plan.sourceCount))
    if rows.upperBound == height {
      for index in 0..<plan.sourceCount { codes[index].makeBorder(row: height) }
    }
  }

  private func run(_ band: LineSchedule.Band, _ worker: LineWorker, _ result: Result) {
    let (step, use, rows) = (steps[band.step], plan.uses[band.step], band.rows)
    var io = ve_conv3x3_io()
    io.width = Int32(width)
    io.height = Int32(rows.count)
    for (slot, buffer) in use.inputs.enumerated() {
      let (place, wrap) = codes[buffer].rows(from: rows.lowerBound)
      worker.inputs[slot] = ve_codes_input(
        data: UnsafePointer(place.assumingMemoryBound(to: UInt8.self)),
        row_stride: codes[buffer].shape.rowBytes,
        wrap: wrap)
    }
    for (index, buffer) in use.codes.enumerated() {
      if rows.lowerBound == 0 { codes[buffer].makeBorder(row: -1) }
      let (place, wrap) = codes[buffer].rows(from: rows.lowerBound)
      let format = step.codes[index]
      worker.outputs[index] = ve_codes_output(
        data: place.assumingMemoryBound(to: UInt8.self), row_stride: codes[buffer].shape.rowBytes, wrap: wrap,
        multiplier: format.multiplier, zero_point: format.zeroPoint, levels: format.levels)
    }
    (io.inputs, io.outputs) = (UnsafePointer(worker.inputs), UnsafePointer(worker.outputs))
    io.output_count = Int32(use.codes.count)
    let streamStride = width * step.channels * 2
    if let buffer = use.streamIn {
      let (place, wrap) = streams[buffer].rows(from: rows.lowerBound)
      io.stream_in = UnsafePointer(place.assumingMemoryBound(to: Int16.self))
      (io.stream_in_stride, io.stream_in_wrap) = (streamStride, wrap)
    }
    io.stream_out_stride = streamStride
    if step.isOutput {
      switch result {
      case .whole(let values): io.stream_out = values + rows.lowerBound * width * step.channels
      case .rows: io.stream_out = worker.result
      }
    } else if let buffer = use.streamOut {
      let (place, wrap) = streams[buffer].rows(from: rows.lowerBound)
      (io.stream_out, io.stream_out_wrap) = (place.assumingMemoryBound(to: Int16.self), wrap)
    }
    step.kernel.run(&io, worker.scratch)
    if rows.upperBound == height { for buffer in use.codes { codes[buffer].makeBorder(row: height) } }
  }
}
