// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A share of the files, the same on every machine.
package struct Shard: Sendable, Equatable {
  /// Which share, from 0, and of how many.
  package var index, count: Int
  /// The variable that it was taken from; nil where it was chosen.
  package var source: String?

  package init(index: Int, count: Int, source: String? = nil) {
    self.index = index
    self.count = count
    self.source = source
  }

  /// The index of a share that is given as `env/n`, before it is resolved.
  package static let open = -1

  /// A share such as `2/8`, the second of eight, or `env/8`, whose index an array job provides.
  package init?(_ argument: String) {
    if argument.hasPrefix("env/"), let count = Int(argument.dropFirst(4)), (1...1_000_000).contains(count) {
      (index, self.count) = (Self.open, count)
      return
    }
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let number = parts[0], let count = parts[1], count <= 1_000_000, number >= 1,
      number <= count
    else { return nil }
    (index, self.count) = (number - 1, count)
  }

  /// The share that an array job has given to this process; nil outside of one.
  /// - Throws: `BatchError.unclearShare` where it is one, but the number of shares is unknown: without a share, all
  ///   of them would do the same files.
  package init?(environment: [String: String]) throws(BatchError) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    let index: Int
    let (told, total): (String, String)
    if environment["SLURM_ARRAY_TASK_ID"] != nil {
      (told, total) = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
      let step = max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
      guard let id = number(told) else { throw .unclearShare("\(told) is no number") }
      let (distance, overflow) = id.subtractingReportingOverflow(number("SLURM_ARRAY_TASK_MIN") ?? 0)
      guard !overflow, distance % step == 0 else { throw .unclearShare("\(told) does not fit the array") }
      index = distance / step
    } else if environment["JOB_COMPLETION_INDEX"] != nil {
      (told, total) = ("JOB_COMPLETION_INDEX", "JOB_COMPLETION_COUNT")
      guard let id = number(told) else { throw .unclearShare("\(told) is no number") }
      index = id
    } else {
      return nil
    }
    guard let count = number(total), count >= 1 else {
      throw .unclearShare("\(told) is set, but \(total) is not, or no number")
    }
    // A list such as 1,5,9 has numbers that do not follow each other.
    guard (0..<count).contains(index) else {
      throw .unclearShare("\(told) is not among \(count) that follow each other")
    }
    self.init(index: index, count: count, source: told)
  }

  /// Whether a file belongs to it. Only the path below the folder counts, so machines may mount it at different places.
  package func holds(_ relativePath: String) -> Bool {
    Self.hash(relativePath) % UInt64(count) == UInt64(index)
  }

  /// FNV-1a of 64 bits; Swift's own hash differs from run to run.
  package static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
