// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels

/// The rows of each tensor that a `LineExecutor` stores. Independent of the height of pictures.
struct LinePlan {
  /// The buffers of a step.
  struct Use {
    var inputs: [Int] = []
    var codes: [Int] = []
    var streamIn: Int?
    /// The step that computes the addend.
    var addend: Int?
    var streamOut: Int?
    /// Whether its value is the result.
    var isOutput = false
  }

  /// Rows by which each step lags behind the sources.
  private(set) var lags: [Int] = []
  private(set) var uses: [Use] = []
  /// Code buffers, starting with the sources'.
  private(set) var codes: [LineBuffer.Shape]
  private(set) var streams: [LineBuffer.Shape] = []
  let sourceCount: Int

  init(_ steps: [LineStep], sources: [LineExecutor.Source], width: Int, chunk: Int) {
    sourceCount = sources.count
    codes = sources.map { .codes(width: width, channels: $0.channels, zeroPoint: $0.zeroPoint, maker: 0) }
    for (index, step) in steps.enumerated() {
      var use = Use()
      use.inputs = step.inputs.map { input in
        switch input {
        case .source(let source): source
        case .codes(let maker, let output): uses[maker].codes[output]
        }
      }
      use.streamIn = step.addend.flatMap { uses[$0].streamOut }
      use.addend = step.addend
      use.isOutput = step.isOutput
      // A convolution reads one row below its own, and its addend must be available. An attention could do with one row
      // less, which is not worth a case of its own.
      let lag = max(use.inputs.map { codes[$0].maker }.max()! + 1, step.addend.map { lags[$0] } ?? 0)
      lags.append(lag)
      for input in use.inputs { codes[input].lastReader = max(codes[input].lastReader, lag) }
      if let stream = use.streamIn { streams[stream].lastReader = max(streams[stream].lastReader, lag) }
      for format in step.codes {
        codes.append(.codes(width: width, channels: step.channels, zeroPoint: format.zeroPoint, maker: lag))
        use.codes.append(codes.count - 1)
      }
      if step.keepsStream && !step.isOutput {
        // The last reader may overwrite its input if all other readers are ahead of it.
        let others = steps.indices.filter { $0 != index && steps[$0].addend == step.addend }
        if let stream = use.streamIn, others.allSatisfy({ $0 < index && lags[$0] <= lag }) {
          use.streamOut = stream
        } else {
          streams.append(.stream(width: width, channels: step.channels, maker: lag))
          use.streamOut = streams.count - 1
        }
      }
      uses.append(use)
    }
    // Multiples of 4, so that the rows of a source band are contiguous.
    for index in codes.indices { codes[index].rows = (chunk + codes[index].span + 2 + 3) / 4 * 4 }
    for index in streams.indices { streams[index].rows = chunk + streams[index].span }
  }

  /// The step that writes a code buffer; -1 for sources.
  func codeMaker(of buffer: Int) -> Int { uses.firstIndex { $0.codes.contains(buffer) } ?? -1 }
}

/// A ring buffer of rows of a tensor, where rows of codes have a border of one pixel: new rows replace those that are no
/// longer read.
struct LineBuffer {
  struct Shape {
    /// Bytes from row to row, and from the start of a row to its first pixel.
    let rowBytes, borderBytes: Int
    /// The border's value; nil for streams, which have no border.
    let zeroPoint: UInt8?
    /// Bytes per pixel.
    let pixelBytes: Int
    /// Lags of the writing step and of the last reading step.
    let maker: Int
    var lastReader: Int
    /// Capacity in rows.
    var rows = 0

    /// Rows from the writer to the last reader.
    var span: Int { lastReader - maker }
    /// Size of all rows, with the slack that kernels may read after the last one, in whole cache lines.
    var bytes: Int { (rows * rowBytes + (zeroPoint == nil ? 0 : Int(VE_SLACK_BYTES)) + 63) / 64 * 64 }

    static func codes(width: Int, channels: Int, zeroPoint: Int32, maker: Int) -> Shape {
      precondition(
        channels % 4 == 0 && (0...255).contains(zeroPoint), "channels come in fours, codes are 8-bit")
      return Shape(
        rowBytes: (width + 2) * channels, borderBytes: channels, zeroPoint: UInt8(zeroPoint),
        pixelBytes: channels, maker: maker, lastReader: maker)
    }

    static func stream(width: Int, channels: Int, maker: Int) -> Shape {
      Shape(
        rowBytes: width * channels * 2, borderBytes: 0, zeroPoint: nil, pixelBytes: 2 * channels,
        maker: maker,
        lastReader: maker)
    }
  }

  let shape: Shape
  private let memory: UnsafeMutableRawPointer

  init(_ shape: Shape, memory: UnsafeMutableRawPointer) {
    self.shape = shape
    self.memory = memory
    memory.initializeMemory(as: UInt8.self, repeating: shape.zeroPoint ?? 0, count: shape.bytes)
  }

  /// Index in the ring of row `y`, which is at least -1.
  private func place(_ y: Int) -> Int { (y + shape.rows) % shape.rows }

  /// Pixel 0 of row `y`, and where subsequent rows wrap around, relative to it; also valid for the row above.
  func rows(from y: Int) -> (UnsafeMutableRawPointer, ve_wrap) {
    let above = place(y - 1)
    return (
      memory + (above + 1) * shape.rowBytes + shape.borderBytes,
      ve_wrap(row: Int32(shape.rows - above - 1), bytes: shape.rows * shape.rowBytes)
    )
  }

  /// The target of rows of a source, which must not wrap around.
  func target(_ rows: Range<Int>) -> LineExecutor.Target {
    let first = memory + place(rows.lowerBound) * shape.rowBytes + shape.borderBytes
    return LineExecutor.Target(
      origin: (first - rows.lowerBound * shape.rowBytes).assumingMemoryBound(to: UInt8.self),
      pixelStride: shape.pixelBytes, rowStride: shape.rowBytes)
  }

  /// Fills columns of a row with the border's value; those at its ends with the border's own pixels.
  func makeBorder(row y: Int, columns: Range<Int>) {
    guard let zeroPoint = shape.zeroPoint else { return }
    // Pixel 0 comes after one of the border.
    let first = columns.lowerBound == 0 ? 0 : (columns.lowerBound + 1) * shape.pixelBytes
    let end = (columns.upperBound + 2) * shape.pixelBytes
    let last = end == shape.rowBytes ? end : end - shape.pixelBytes
    (memory + place(y) * shape.rowBytes + first).initializeMemory(
      as: UInt8.self, repeating: zeroPoint, count: last - first)
  }
}
