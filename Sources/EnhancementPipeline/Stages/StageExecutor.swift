// SPDX-License-Identifier: Apache-2.0
internal import Dispatch

/// Runs one stage on a dedicated thread.
///
/// Stages block for seconds while they compute, decode or wait for files. On Swift's cooperative threads, one
/// per core, they would starve all other tasks of the program.
final class StageExecutor: TaskExecutor {
  private let queue: DispatchQueue

  init(_ name: String) { queue = DispatchQueue(label: "videnhance.\(name)") }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
