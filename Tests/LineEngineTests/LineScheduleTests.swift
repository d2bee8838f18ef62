// SPDX-License-Identifier: Apache-2.0
import Tensors
import Testing

@testable import Kernels
@testable import LineEngine

/// Tests all orders in which threads may process bands: no band reads rows that are not written yet or
/// already overwritten.
@Suite struct LineScheduleTests {
  /// A pixel of a row of a buffer, with a version if steps add in place.
  struct Row: Hashable {
    let isStream: Bool
    let buffer, row, column, version: Int
  }

  /// The rows that a band accesses.
  struct Touch {
    var reads: [Row] = []
    var writes: [Row] = []
  }

  static let cases = (0..<60).map { seed in
    (seed: UInt64(seed), height: [1, 2, 3, 5, 8, 17, 30][seed % 7], chunk: [4, 8, 12, 32][seed % 4])
  }

  @Test(arguments: cases)
  func anyOrderOfBandsIsCorrect(_ seed: UInt64, _ height: Int, _ chunk: Int) throws {
    let (steps, sources) = try Self.steps(seed: seed)
    // Every third case has strips: two or three, and the last one is wider.
    let (width, strip) = seed % 3 == 0 ? (20 + Int(seed % 11), 9) : (3, 3)
    let plan = LinePlan(steps, sources: sources, width: width, chunk: chunk)
    let schedule = LineSchedule(plan, width: width, height: height, chunk: chunk, strip: strip)
    #expect(schedule.strips == (seed % 3 == 0 ? width / 9 : 1))
    let bands = schedule.bands
    for step in -1..<steps.count {
      for column in 0..<width {
        let rows = bands.filter { $0.step == step && $0.columns.contains(column) }.flatMap { Array($0.rows) }
        #expect(rows == Array(0..<height), "step \(step) makes each pixel once, top to bottom")
      }
    }
    let touches = bands.map { Self.touch($0, plan, width: width, height: height) }
    var makers: [Row: Int] = [:]
    for (index, touch) in touches.enumerated() {
      #expect(bands[index].after <= index)
      for row in touch.writes { makers[row] = index }
    }
    for (index, touch) in touches.enumerated() {
      for row in touch.reads {
        #expect(try #require(makers[row]) < bands[index].after, "band \(index) reads what is not made yet")
      }
    }
    let clash = Self.clash(touches, bands, plan)
    #expect(clash == nil, "\(clash ?? "")")
  }

  /// Returns the conflict between bands that access the same place; nil if there is none.
  private static func clash(_ touches: [Touch], _ bands: [LineSchedule.Band], _ plan: LinePlan) -> String? {
    struct Place: Hashable {
      let isStream: Bool
      let buffer, slot, column: Int
    }
    var uses: [Place: [(band: Int, row: Row, isWritten: Bool)]] = [:]
    for (index, touch) in touches.enumerated() {
      for (rows, isWritten) in [(touch.reads, false), (touch.writes, true)] {
        for row in rows {
          let count = row.isStream ? plan.streams[row.buffer].rows : plan.codes[row.buffer].rows
          let place = Place(
            isStream: row.isStream, buffer: row.buffer, slot: (row.row + count) % count, column: row.column)
          uses[place, default: []].append((index, row, isWritten))
        }
      }
    }
    for place in uses.values {
      for first in place {
        for second in place where second.band > first.band && (first.isWritten || second.isWritten) {
          if first.band >= bands[second.band].after {
            return "bands \(first.band) and \(second.band) at once touch \(first.row) and \(second.row)"
          }
          if first.isWritten && (first.row.row, first.row.version) > (second.row.row, second.row.version) {
            return "band \(second.band) finds \(first.row) instead of \(second.row)"
          }
        }
      }
    }
    return nil
  }

  private static func touch(_ band: LineSchedule.Band, _ plan: LinePlan, width: Int, height: Int) -> Touch {
    var result = Touch()
    func pixels(_ rows: Range<Int>, _ columns: Range<Int>, _ make: (Int, Int) -> Row) -> [Row] {
      rows.flatMap { row in columns.map { make(row, $0) } }
    }
    func codes(_ buffer: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> [Row] {
      pixels(rows, columns) { Row(isStream: false, buffer: buffer, row: $0, column: $1, version: 0) }
    }
    func stream(_ buffer: Int, version: Int) -> [Row] {
      pixels(band.rows, band.columns) {
        Row(isStream: true, buffer: buffer, row: $0, column: $1, version: version)
      }
    }
    // Left and right of the picture there is always the border.
    let around = max(0, band.columns.lowerBound - 1)..<min(width, band.columns.upperBound + 1)
    let use = band.step < 0 ? LinePlan.Use(codes: Array(0..<plan.sourceCount)) : plan.uses[band.step]
    for buffer in use.inputs {
      result.reads += codes(buffer, band.rows.lowerBound - 1..<band.rows.upperBound + 1, around)
    }
    for buffer in use.codes {
      // The border is written together with the rows next to it.
      let first = band.rows.lowerBound == 0 ? -1 : band.rows.lowerBound
      let end = band.rows.upperBound == height ? height + 1 : band.rows.upperBound
      result.writes += codes(buffer, first..<end, band.columns)
    }
    if let buffer = use.streamIn { result.reads += stream(buffer, version: version(use.addend!, plan)) }
    if let buffer = use.streamOut { result.writes += stream(buffer, version: version(band.step, plan)) }
    return result
  }

  /// Returns how often the stream of a step was added to in place.
  private static func version(_ step: Int, _ plan: LinePlan) -> Int {
    let use = plan.uses[step]
    guard let addend = use.addend, use.streamIn == use.streamOut else { return 0 }
    return version(addend, plan) + 1
  }

  /// Creates random steps that read and add the results of previous ones.
  private static func steps(seed: UInt64) throws -> ([LineStep], [LineExecutor.Source]) {
    var random = SplitMix64(seed: seed)
    var steps: [LineStep] = []
    let sources = 1 + random.index(3)
    let kernel = try #require(IntegerConvolution(parameters))
    for index in 0..<2 + random.index(6) {
      func input() -> LineStep.Input {
        let makers = steps.indices.filter { !steps[$0].codes.isEmpty }
        if makers.isEmpty || random.index(4) == 0 { return .source(random.index(sources)) }
        // Usually the previous step.
        let maker = random.index(3) > 0 ? makers.last! : makers[random.index(makers.count)]
        return .codes(step: maker, output: random.index(steps[maker].codes.count))
      }
      let addends = steps.indices.filter { steps[$0].keepsStream }
      let inputs = (0...random.index(3)).map { _ in input() }
      let codes = (0..<random.index(3)).map { _ in LineStep.Codes(zeroPoint: 1, levels: 15, multiplier: 1) }
      steps.append(
        LineStep(
          kernel, inputs: inputs, channels: 8,
          addend: index > 0 && random.index(2) == 0 && !addends.isEmpty
            ? addends[random.index(addends.count)] : nil,
          keepsStream: random.index(3) > 0, codes: codes))
    }
    steps[steps.count - 1].isOutput = true
    return (steps, (0..<sources).map { _ in LineExecutor.Source(channels: 8, zeroPoint: 0) })
  }

  private static var parameters: IntegerConvolutionParameters {
    IntegerConvolutionParameters(
      slots: 1, inputChannels: 8, outputChannels: 8, activationLevels: 15, weightLevels: 7,
      weights: Array(repeating: 1, count: 8 * 8 * 9), bias: Array(repeating: 0, count: 8),
      multiplier: Array(repeating: 1, count: 8))
  }
}

/// Simulates how well the list keeps threads busy: the time of a band is proportional to its multiplications, and each band is
/// taken by the first free thread.
@Suite struct LineScheduleSimulationTests {
  struct Outcome {
    /// Share of the threads' time spent on bands, up to 1.
    var busy: Double
    /// Share of bands that were taken before what they read was made.
    var waiting: Double
    /// Stored rows, in MB.
    var megabytes: Double
  }

  /// The reference stack of `bench engine` (30 -> 64, eight times 64 -> 64, 64 -> 24) for a frame of 960 x 540.
  private static func outcome(threads: Int) throws -> Outcome {
    let channels = [32] + Array(repeating: 64, count: 9) + [24]
    let (width, height) = (480, 270)
    let steps = try (0..<10).map { index in
      let (inputs, outputs) = (channels[index], channels[index + 1])
      let kernel = try #require(
        IntegerConvolution(
          IntegerConvolutionParameters(
            slots: 1, inputChannels: inputs, outputChannels: outputs, activationLevels: 15, weightLevels: 7,
            weights: Array(repeating: 1, count: outputs * inputs * 9),
            bias: Array(repeating: 0, count: outputs), multiplier: Array(repeating: 1, count: outputs)),
          algorithm: .direct, instructionSet: .scalar))
      return LineStep(
        kernel, inputs: [index == 0 ? .source(0) : .codes(step: index - 1, output: 0)], channels: outputs,
        keepsStream: index == 9, isOutput: index == 9,
        codes: index == 9 ? [] : [.init(zeroPoint: 0, levels: 15, multiplier: 1)])
    }
    let executor = LineExecutor(
      steps, sources: [.init(channels: 32, zeroPoint: 0)], width: width, height: height, threads: threads)
    let plan = LinePlan(
      steps, sources: [.init(channels: 32, zeroPoint: 0)], width: width, chunk: executor.chunk)
    let bands = LineSchedule(plan, width: width, height: height, chunk: executor.chunk).bands
    // Sources are copied: the time of a twentieth of a layer.
    let costs = bands.map { band in
      Double(band.rows.count)
        * (band.step < 0 ? 0.05 : Double(channels[band.step] * channels[band.step + 1]) / 4096)
    }
    var free = [Double](repeating: 0, count: threads)
    // When the first bands are all finished.
    var finished = [0.0]
    var waits = 0
    for (band, cost) in zip(bands, costs) {
      let thread = free.indices.min { free[$0] < free[$1] }!
      if finished[band.after] > free[thread] { waits += 1 }
      free[thread] = max(free[thread], finished[band.after]) + cost
      finished.append(max(finished.last!, free[thread]))
    }
    return Outcome(
      busy: costs.reduce(0, +) / (finished.last! * Double(threads)),
      waiting: Double(waits) / Double(bands.count), megabytes: Double(executor.bytes) / 1e6)
  }

  /// Prints the figures in docs/lab/performance.md.
  @Test func theListKeepsManyThreadsBusy() throws {
    var last = 0.0
    for (threads, least) in [(1, 1.0), (2, 0.98), (4, 0.95), (8, 0.95), (16, 0.9)] {
      let outcome = try Self.outcome(threads: threads)
      print("\(threads) threads:", outcome)
      #expect(outcome.busy <= 1.000001 && outcome.busy >= least - 0.000001, "\(threads) threads: \(outcome)")
      // Lines grow with the threads, as each has two bands of a step at a time.
      #expect(outcome.megabytes >= last && outcome.megabytes < 4 + 1.2 * Double(threads))
      last = outcome.megabytes
    }
  }
}

@Suite struct LineProgressTests {
  /// Threads that wait for an earlier band see all previous work, in every round.
  @Test(arguments: [1, 2, 3, 8, 16], [1, 2, 40]) func waitsForPreviousBands(
    _ threads: Int, _ distance: Int
  ) {
    let count = 2000
    let progress = LineProgress(workers: threads)
    nonisolated(unsafe) let done = UnsafeMutablePointer<Int>.allocate(capacity: count)
    nonisolated(unsafe) let missed = UnsafeMutablePointer<Int>.allocate(capacity: threads)
    defer {
      done.deallocate()
      missed.deallocate()
    }
    missed.initialize(repeating: 0, count: threads)
    for turn in 1...3 {
      done.initialize(repeating: 0, count: count)
      progress.begin()
      runOnThreads(threads) { worker in
        progress.enter(worker)
        while true {
          let index = progress.take(worker)
          if index >= count { break }
          let after = max(0, index + 1 - distance)
          progress.wait(worker, until: after)
          // The value identifies the round: all bands up to this one must be done.
          if after > 0, done[after - 1] != turn { missed[worker] += 1 }
          done[index] = turn
        }
        progress.leave(worker)
      }
      #expect((0..<count).allSatisfy { done[$0] == turn })
    }
    #expect((0..<threads).allSatisfy { missed[$0] == 0 })
  }
}
