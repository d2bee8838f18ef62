// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
internal import Foundation
internal import Kernels
internal import Synchronization

/// The bands of rows of one picture in the order in which threads take them, and the dependencies of each.
struct LineSchedule {
  /// Rows of one step, in one strip of columns.
  struct Band {
    /// The step, or -1 for the sources.
    let step: Int
    let rows, columns: Range<Int>
    /// How many bands at the head of the list must be finished first.
    let after: Int
  }

  /// Maximum rows of a band: the number that Winograd computes at a time.
  static let bandHeight = 2
  /// Maximum rows of a source or output band: the 8 x 8 blocks of motion search are four grid rows high, and consumers that
  /// enlarge frames read rows above and below the band.
  static let edgeBandHeight = 4

  private(set) var bands: [Band] = []
  /// By step, starting with the sources, and strip: the last row and the index of each band.
  private var made: [[[(last: Int, index: Int)]]]
  private let width, height: Int
  /// Strips of columns, which are computed one after the other in each turn.
  let strips: Int

  /// Schedules the steps in turns of `chunk` rows, with the plan's lags behind the sources.
  /// - Parameter strip: columns that a turn computes before the next ones, so that what one step writes is still in cache when
  ///   the next one reads it; nil for all. As with rows, each step lags one column behind the step it reads, so that nothing is
  ///   computed twice. Sources and results are made in whole rows.
  init(_ plan: LinePlan, width: Int, height: Int, chunk: Int, strip: Int? = nil) {
    self.width = width
    self.height = height
    let most = plan.lags.max() ?? 0
    // Strips must be wider than what steps lag behind, and results come last.
    let canSplit = plan.uses.dropLast().allSatisfy { !$0.isOutput }
    let strip = max(strip ?? width, most + 1)
    strips = canSplit ? max(1, width / strip) : 1
    made = Array(repeating: Array(repeating: [], count: strips), count: plan.lags.count + 1)
    let turns = (height + most + chunk - 1) / chunk
    for turn in 0..<turns {
      for number in 0..<strips {
        for step in -1..<plan.lags.count {
          let isEdge = step < 0 || plan.uses[step].isOutput
          if isEdge && number != lastStrip(of: step) { continue }
          let lag = step < 0 ? 0 : plan.lags[step]
          let first = max(0, min(height, turn * chunk - lag))
          let end = max(first, min(height, (turn + 1) * chunk - lag))
          let left = isEdge || number == 0 ? 0 : number * strip - lag
          let right = isEdge || number == strips - 1 ? width : (number + 1) * strip - lag
          let bandHeight = isEdge ? Self.edgeBandHeight : Self.bandHeight
          for row in stride(from: first, to: end, by: bandHeight) {
            append(step, row..<min(end, row + bandHeight), left..<right, strip: number, plan)
          }
        }
      }
    }
  }

  /// Sources are made with the first strip, all else is complete with the last.
  private func lastStrip(of step: Int) -> Int { step < 0 ? 0 : strips - 1 }

  private mutating func append(
    _ step: Int, _ rows: Range<Int>, _ columns: Range<Int>, strip: Int, _ plan: LinePlan
  ) {
    var after = 0
    // Rows of earlier turns in all strips.
    func need(_ other: Int, through row: Int) {
      after = max(after, count(of: other, through: row, strip: lastStrip(of: other)))
    }
    // Rows of this turn: steps that lag less have come further in the strip than this one reads.
    func needHere(_ other: Int, through row: Int) {
      after = max(after, count(of: other, through: row, strip: min(strip, lastStrip(of: other))))
    }
    let last = rows.upperBound - 1
    let use = step < 0 ? LinePlan.Use(codes: Array(0..<plan.sourceCount)) : plan.uses[step]
    // Inputs: one row more than the output.
    for buffer in use.inputs { needHere(plan.codeMaker(of: buffer), through: last + 1) }
    if let addend = use.addend { needHere(addend, through: last) }
    // Overwritten rows: those a whole ring above; the border below the picture counts as written.
    let end = last == height - 1 ? height : last
    for buffer in use.codes {
      need(step, through: end - plan.codes[buffer].rows)
      for reader in plan.uses.indices where plan.uses[reader].inputs.contains(buffer) {
        need(reader, through: end - plan.codes[buffer].rows + 1)
      }
    }
    if let stream = use.streamOut {
      if stream != use.streamIn { need(step, through: last - plan.streams[stream].rows) }
      for user in plan.uses.indices where user != step && plan.uses[user].streamIn == stream {
        // In place: other readers of the addend must have read the rows that are overwritten now.
        let isInPlace = stream == use.streamIn
        if !isInPlace {
          need(user, through: last - plan.streams[stream].rows)
        } else if plan.uses[user].addend == use.addend {
          needHere(user, through: last)
        }
      }
    }
    made[step + 1][strip].append((last, bands.count))
    bands.append(Band(step: step, rows: rows, columns: columns, after: after))
  }

  /// The number of bands that are finished once a step has computed its rows through `row` in a strip and those before it.
  private func count(of step: Int, through row: Int, strip: Int) -> Int {
    if row < 0 { return 0 }
    // Search from the end, since the row was usually computed recently.
    var found: Int?
    for band in made[step + 1][strip].reversed() {
      if band.last < min(row, height - 1) { break }
      found = band.index
    }
    guard let found else { preconditionFailure("a band needs one that comes later") }
    return found + 1
  }
}

/// Tracks the progress of threads through a list of bands that they take in order.
///
/// Each thread publishes its current band and has then finished all bands it took before. So the first n bands are finished
/// when all of them have been taken and no thread is working on one of them.
final class LineProgress: @unchecked Sendable {
  // Unchecked: all mutable state is atomic.

  private let next = Atomic(0)
  private let current: UnsafeMutablePointer<Atomic<Int>>
  private let workers: Int
  /// Each thread's counter has its own cache line.
  private static let stride = 64 / MemoryLayout<Atomic<Int>>.stride
  /// Number of polls before sleeping: some tens of microseconds.
  private static let patience = 1000
  /// Number of threads that sleep or are about to.
  private let sleepers = Atomic(0)
  private let progressMade = NSCondition()

  init(workers: Int) {
    self.workers = workers
    current = .allocate(capacity: workers * Self.stride)
    for index in 0..<workers * Self.stride { (current + index).initialize(to: Atomic(Int.max)) }
  }

  deinit {
    current.deinitialize(count: workers * Self.stride)
    current.deallocate()
  }

  /// Starts a list; no thread may be working.
  func begin() { next.store(0, ordering: .relaxed) }

  /// Registers a thread.
  func enter(_ worker: Int) {
    // Until the thread has its first band, that may be any band not taken yet. Threads that take a later one see this.
    current[worker * Self.stride].store(next.load(ordering: .relaxed), ordering: .releasing)
  }

  /// Takes the next band; returns its index, or one beyond the end of the list.
  func take(_ worker: Int) -> Int {
    let index = next.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue
    publish(worker, index)
    return index
  }

  /// Unregisters a thread that has found no more bands.
  func leave(_ worker: Int) { publish(worker, Int.max) }

  private func publish(_ worker: Int, _ index: Int) {
    // In one order with `sleepers`: either the sleeper sees the new index, or this sees the sleeper.
    current[worker * Self.stride].store(index, ordering: .sequentiallyConsistent)
    guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
    progressMade.withLock { progressMade.broadcast() }
  }

  /// Waits until the first `count` bands are finished; all of them have been taken, since `worker` has a later one.
  func wait(_ worker: Int, until count: Int) {
    for other in 0..<workers where other != worker {
      var tries = 0
      while current[other * Self.stride].load(ordering: .acquiring) < count {
        tries += 1
        if tries < Self.patience { ve_relax() } else { sleep(until: count, from: other) }
      }
    }
  }

  /// Sleeps, as the other thread may itself be waiting for a processor: a thread that yielded instead would keep it waiting on
  /// the other processor, and take time from decoder and encoder.
  private func sleep(until count: Int, from other: Int) {
    sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
    progressMade.withLock {
      while current[other * Self.stride].load(ordering: .sequentiallyConsistent) < count {
        progressMade.wait()
      }
    }
    sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }
}

/// Thread-local data.
final class LineWorker {
  /// Scratch memory for kernels.
  var scratch: UnsafeMutableRawPointer { kernelMemory.pointer }
  /// Buffer for a band of the result.
  var result: UnsafeMutablePointer<Int16> { resultMemory.values(Int16.self) }
  /// The band's input tensors.
  let inputs: UnsafeMutablePointer<ve_codes_input>
  let outputs: UnsafeMutablePointer<ve_codes_output>
  let targets: UnsafeMutablePointer<LineExecutor.Target>
  /// Time of filling, of each step, and of consuming the result; empty if not measured.
  private(set) var spent: [Duration] = []
  private let partCount: Int
  private let kernelMemory, resultMemory: AlignedBuffer

  init(scratchBytes: Int, resultValues: Int, sources: Int, steps: Int) {
    kernelMemory = AlignedBuffer(bytes: scratchBytes)
    resultMemory = AlignedBuffer(Int16.self, count: resultValues)
    inputs = .allocate(capacity: Int(max(VE_MAX_SLOTS, VE_MAX_ATTENTION_INPUTS)))
    outputs = .allocate(capacity: Int(VE_MAX_OUTPUTS))
    targets = .allocate(capacity: max(1, sources))
    partCount = steps + 2
  }

  deinit {
    inputs.deallocate()
    outputs.deallocate()
    targets.deallocate()
  }

  func begin(isMeasuring: Bool) {
    if isMeasuring {
      spent = Array(repeating: .zero, count: partCount)
    } else if !spent.isEmpty {
      spent = []
    }
  }

  /// Runs and times a part of the work.
  @inline(__always)
  func measure(_ part: Int, _ work: () -> Void) {
    if spent.isEmpty { return work() }
    let start = ContinuousClock.now
    work()
    spent[part] += ContinuousClock.now - start
  }
}
