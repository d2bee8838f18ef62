// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
package import Kernels

/// A convolution of a `LineExecutor`, with the operations fused into it.
package struct LineStep {
  /// An input of a step.
  package enum Input: Sendable {
    /// A source, by index.
    case source(Int)
    /// An output of an earlier step.
    case codes(step: Int, output: Int)
  }

  /// The format of a step's output codes: see `CodeOutput`.
  package struct Codes: Sendable {
    /// Code of real zero, and the greatest code.
    package var zeroPoint, levels: Int32
    /// Converts stream units to codes.
    package var multiplier: Float

    /// Creates a format.
    package init(zeroPoint: Int32, levels: Int32, multiplier: Float) {
      self.zeroPoint = zeroPoint
      self.levels = levels
      self.multiplier = multiplier
    }
  }

  /// The kernel.
  package var kernel: IntegerConvolution
  /// Inputs, one per slot.
  package var inputs: [Input]
  /// Output channels.
  package var channels: Int
  /// The earlier step whose stream is added, if any.
  package var addend: Int?
  /// Whether its value is stored as a 16-bit stream.
  package var keepsStream: Bool
  /// Whether the stream is the executor's result.
  package var isOutput: Bool
  /// Codes computed from its value.
  package var codes: [Codes]

  /// Creates a step.
  package init(
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

/// Runs integer convolutions line by line: a step lags one row behind the step it reads, and only the rows of a tensor between
/// its writer and its last reader are stored. Memory is a single block, allocated once, whose size depends on the width but
/// not the height of pictures. Threads take bands of rows from a shared list (`LineSchedule`) and only wait for a band's
/// inputs; results depend neither on the number of threads nor on `chunk`.
///
/// Not thread-safe: one call at a time.
package final class LineExecutor {
  /// A source: its channels (a multiple of 4) and code of zero.
  package struct Source {
    var channels: Int
    var zeroPoint: Int32

    /// Creates a source.
    package init(channels: Int, zeroPoint: Int32) {
      self.channels = channels
      self.zeroPoint = zeroPoint
    }
  }

  /// Bytes of all stored rows.
  package let bytes: Int
  /// Rows that a step computes per turn.
  package let chunk: Int

  /// The steps. May be replaced between pictures by steps of the same shapes.
  package var steps: [LineStep]
  private let width, height: Int
  private let plan: LinePlan
  private let schedule: LineSchedule
  private let arena: AlignedBuffer
  private let codes, streams: [LineBuffer]
  private let workers: [LineWorker]
  private let progress: LineProgress

  /// Plans the memory for pictures of `width` x `height`.
  /// - Parameter chunk: a multiple of 4, for tests; nil for the default.
  package init(
    _ steps: [LineStep], sources: [Source], width: Int, height: Int, threads: Int, chunk: Int? = nil
  ) {
    // Two bands per thread: while one thread finishes a step, the first inputs of the next are ready for the others.
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

  /// The destination of rows of a source: `origin` is the address of pixel (0, 0), but only the requested rows exist.
  package struct Target: @unchecked Sendable {
    // Unchecked: threads write disjoint rows.

    /// See `Target`.
    package let origin: UnsafeMutablePointer<UInt8>
    /// Strides of points and rows in bytes.
    package let pixelStride, rowStride: Int

    /// Creates a target.
    package init(origin: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int) {
      self.origin = origin
      self.pixelStride = pixelStride
      self.rowStride = rowStride
    }
  }

  /// The destination of the result, `width * channels` values per row.
  package enum Result {
    /// Memory for all rows.
    case whole(UnsafeMutablePointer<Int16>)
    /// A consumer of a few rows at a time; called by several threads, with disjoint rows.
    case rows((_ rows: Range<Int>, _ values: UnsafePointer<Int16>) -> Void)
  }

  /// A part of the work for time measurement.
  package enum Part: Hashable {
    /// Filling sources, a step, or consuming rows of the result.
    case filling
    case step(Int)
    case taking
  }

  /// Computes one picture.
  /// - Parameter timing: called at the end with the time of each part divided by the number of threads; nil measures nothing.
  /// - Parameter fill: writes a few rows of all sources (starting at a multiple of 4); called by several threads, with disjoint
  ///   rows.
  package func run(
    into result: Result, timing: ((Part, Duration) -> Void)? = nil,
    fill: (_ rows: Range<Int>, _ targets: UnsafeBufferPointer<Target>) -> Void
  ) {
    progress.begin()
    for worker in workers { worker.begin(isMeasuring: timing != nil) }
    withoutActuallyEscaping(fill) { fill in
      // Bands are disjoint, and each waits for its inputs.
      nonisolated(unsafe) let (shared, result, fill) = (self, result, fill)
      Parallel.forEach(workers.count, threads: workers.count) { shared.work($0, result, fill) }
    }
    guard let timing else { return }
    for index in 0..<steps.count + 2 {
      let part: Part = index == 0 ? .filling : index <= steps.count ? .step(index - 1) : .taking
      timing(part, workers.reduce(Duration.zero) { $0 + $1.spent[index] } / workers.count)
    }
  }

  /// The work of one thread: takes bands until there are none left.
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
