// SPDX-License-Identifier: Apache-2.0
internal import Dispatch

/// Runs one stage on a thread of its own.
///
/// Stages compute, decode and wait for files for seconds. On Swift's cooperative threads, of which there is one per
/// core, they would keep all other tasks of the program from running.
final class StageExecutor: TaskExecutor {
  private let queue: DispatchQueue

  init(_ name: String) { queue = DispatchQueue(label: "videnhance.\(name)") }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
