// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation

/// Prints a time profile of a run on standard error.
enum ProfileReport {
  /// Prints the parts, the total, and the processor time of all threads.
  static func print(_ profile: WorkProfile, started: ContinuousClock.Instant) {
    for part in profile.parts {
      let perTime = String(
        format: "%8.2f s %8.2f ms each", part.seconds, 1e3 * part.seconds / Double(part.count))
      Console.line(perTime + "  \(part.name)")
    }
    let elapsed = ContinuousClock.now - started
    let whole = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    let usage = ProcessUsage.now
    Console.line(
      String(
        format: "%8.2f s in all, %.2f s on all cores, at most %ld MB", whole, usage.seconds,
        usage.peakMegabytes))
  }
}

/// The resources used by the process so far.
struct ProcessUsage {
  /// Processor seconds of all threads.
  let seconds: Double
  /// Peak memory.
  let peakMegabytes: Int

  static var now: ProcessUsage {
    var usage = rusage()
    #if canImport(Darwin)
      getrusage(RUSAGE_SELF, &usage)
    #else
      getrusage(RUSAGE_SELF.rawValue, &usage)
    #endif
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return ProcessUsage(
      seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      peakMegabytes: ProcessMemory.peakBytes.map { $0 >> 20 } ?? Int(usage.ru_maxrss) / 1024)
  }
}
