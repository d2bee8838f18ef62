// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
internal import Foundation
internal import Kernels
internal import Synchronization

/// The bands of rows of one picture in the order in which threads take them, and what each waits for.
struct LineSchedule {
  /// Rows of one step.
  struct Band {
    /// The step, or -1 for the sources.
    let step: Int
    let rows: Range<Int>
    /// How many bands at the head of the list must be done before.
    let after: Int
  }

  /// Rows of a band at most: what Winograd makes at a time.
  static let bandHeight = 2
  /// The same where pictures enter and leave: the blocks of 8 x 8 samples that motion is searched for are of four rows of the
  /// grid, and who enlarges a frame reads rows above and below his own.
  static let edgeBandHeight = 4

  private(set) var bands: [Band] = []
  /// By step, the sources first: the last row of each of its bands, and the band's place.
  private var made: [[(last: Int, index: Int)]]
  private let height: Int

  /// Steps take turns: each makes `chunk` rows, as far behind the sources as the plan says.
  init(_ plan: LinePlan, height: Int, chunk: Int) {
    self.height = height
    made = Array(repeating: [], count: plan.lags.count + 1)
    let turns = (height + (plan.lags.max() ?? 0) + chunk - 1) / chunk
    for turn in 0..<turns {
      for step in -1..<plan.lags.count {
        let lag = step < 0 ? 0 : plan.lags[step]
        let first = max(0, min(height, turn * chunk - lag))
        let end = max(first, min(height, (turn + 1) * chunk - lag))
        let isEdge = step < 0 || plan.uses[step].isOutput
        let bandHeight = isEdge ? Self.edgeBandHeight : Self.bandHeight
        for row in stride(from: first, to: end, by: bandHeight) {
          append(step, row..<min(end, row + bandHeight), plan)
        }
      }
    }
  }

  private mutating func append(_ step: Int, _ rows: Range<Int>, _ plan: LinePlan) {
    var after = 0
    func need(_ other: Int, through row: Int) { after = max(after, count(of: other, through: row)) }
    let last = rows.upperBound - 1
    let use = step < 0 ? LinePlan.Use(codes: Array(0..<plan.sourceCount)) : plan.uses[step]
    // What is read: a row more than is made.
    for buffer in use.inputs { need(plan.codeMaker(of: buffer), through: last + 1) }
    if let addend = use.addend { need(addend, through: last) }
    // What is written over: rows a whole ring above, the border below the picture among those that write.
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
        // In place, others who add the same have read what is written over now.
        let isInPlace = stream == use.streamIn
        if isInPlace && plan.uses[user].addend != use.addend { continue }
        need(user, through: isInPlace ? last : last - plan.streams[stream].rows)
      }
    }
    made[step + 1].append((last, bands.count))
    bands.append(Band(step: step, rows: rows, after: after))
  }

  /// How many bands of the list are done when a step has made its rows through `row`.
  private func count(of step: Int, through row: Int) -> Int {
    if row < 0 { return 0 }
    // From the end: what is asked for was made lately.
    var found: Int?
    for band in made[step + 1].reversed() {
      if band.last < min(row, height - 1) { break }
      found = band.index
    }
    guard let found else { preconditionFailure("a band needs one that comes later") }
    return found + 1
  }
}

/// How far threads are with a list of bands that they take in order.
///
/// Each publishes the band that it works on. It has then done all it took before, so the first n bands are done when all of
/// them were taken and no thread is at one of them.
final class LineProgress: @unchecked Sendable {
  // Unchecked: all that changes is atomic.

  private let next = Atomic(0)
  private let current: UnsafeMutablePointer<Atomic<Int>>
  private let workers: Int
  /// Each thread's number has a cache line of its own.
  private static let stride = 64 / MemoryLayout<Atomic<Int>>.stride
  /// Looks at other threads before the processor is offered to whoever else can run: some tens of microseconds.
  private static let patience = 1000

  init(workers: Int) {
    self.workers = workers
    current = .allocate(capacity: workers * Self.stride)
    for index in 0..<workers * Self.stride { (current + index).initialize(to: Atomic(Int.max)) }
  }

  deinit {
    current.deinitialize(count: workers * Self.stride)
    current.deallocate()
  }

  /// Starts a list, when no thread works.
  func begin() { next.store(0, ordering: .relaxed) }

  /// A thread begins.
  func enter(_ worker: Int) {
    // Before its first band is known the thread may be at any that is not taken yet. Whoever takes a later one sees this.
    current[worker * Self.stride].store(next.load(ordering: .relaxed), ordering: .releasing)
  }

  /// Takes the next band: its place, or one behind the list's end.
  func take(_ worker: Int) -> Int {
    let index = next.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue
    current[worker * Self.stride].store(index, ordering: .releasing)
    return index
  }

  /// A thread has found no more bands.
  func leave(_ worker: Int) { current[worker * Self.stride].store(Int.max, ordering: .releasing) }

  /// Waits until the first `count` bands are done; all of them are taken, as `worker` has a later one.
  func wait(_ worker: Int, until count: Int) {
    for other in 0..<workers where other != worker {
      var tries = 0
      while current[other * Self.stride].load(ordering: .acquiring) < count {
        tries += 1
        if tries < Self.patience { ve_relax() } else { sched_yield() }
      }
    }
  }
}

/// What a thread has for itself.
final class LineWorker {
  /// For kernels.
  var scratch: UnsafeMutableRawPointer { kernelMemory.pointer }
  /// A band of the result.
  var result: UnsafeMutablePointer<Int16> { resultMemory.values(Int16.self) }
  /// The band's tensors.
  let inputs: UnsafeMutablePointer<ve_codes_input>
  let outputs: UnsafeMutablePointer<ve_codes_output>
  let targets: UnsafeMutablePointer<LineExecutor.Target>
  /// Time on filling, on each step, and on taking the result; empty when it is not measured.
  private(set) var spent: [Duration] = []
  private let partCount: Int
  private let kernelMemory, resultMemory: AlignedBuffer

  init(scratchBytes: Int, resultValues: Int, sources: Int, steps: Int) {
    kernelMemory = AlignedBuffer(bytes: scratchBytes)
    resultMemory = AlignedBuffer(Int16.self, count: resultValues)
    inputs = .allocate(capacity: Int(VE_MAX_SLOTS))
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

  /// Does a part of the work.
  @inline(__always)
  func measure(_ part: Int, _ work: () -> Void) {
    if spent.isEmpty { return work() }
    let start = ContinuousClock.now
    work()
    spent[part] += ContinuousClock.now - start
  }
}
