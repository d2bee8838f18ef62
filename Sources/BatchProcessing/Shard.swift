// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A share of the files, equal on all machines.
package struct Shard: Sendable, Equatable {
  /// Index of the share, from 0, and number of shares.
  package var index, count: Int
  /// The environment variable that provided the index; nil if the share was given explicitly.
  package var source: String?

  package init(index: Int, count: Int, source: String? = nil) {
    self.index = index
    self.count = count
    self.source = source
  }

  /// The index of `env/n` until it is resolved.
  package static let open = -1

  /// Parses a share: `2/8` is the second of eight; `env/8` takes the index from an array job's environment.
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

  /// Reads the share of this process from an array job's environment; nil outside of array jobs.
  /// - Throws: `BatchError.unclearShare` if the number of shares is unknown: all tasks would process the same
  ///   files.
  package init?(environment: [String: String]) throws(BatchError) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    let index: Int
    let (name, countName): (String, String)
    if environment["SLURM_ARRAY_TASK_ID"] != nil {
      (name, countName) = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
      let step = max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
      guard let id = number(name) else { throw .unclearShare("\(name) is not a number") }
      let (distance, overflow) = id.subtractingReportingOverflow(number("SLURM_ARRAY_TASK_MIN") ?? 0)
      guard !overflow, distance % step == 0 else { throw .unclearShare("\(name) does not fit the array") }
      index = distance / step
    } else if environment["JOB_COMPLETION_INDEX"] != nil {
      (name, countName) = ("JOB_COMPLETION_INDEX", "JOB_COMPLETION_COUNT")
      guard let id = number(name) else { throw .unclearShare("\(name) is not a number") }
      index = id
    } else {
      return nil
    }
    guard let count = number(countName), count >= 1 else {
      throw .unclearShare("\(name) is set, but \(countName) is not set or not a number")
    }
    // Lists such as 1,5,9 have gaps in their indices.
    guard (0..<count).contains(index) else {
      throw .unclearShare("\(name) is not one of \(count) consecutive indices")
    }
    self.init(index: index, count: count, source: name)
  }

  /// Returns whether a file belongs to the share. Uses the path relative to the folder, since mount points
  /// may differ.
  package func holds(_ relativePath: String) -> Bool {
    Self.hash(relativePath) % UInt64(count) == UInt64(index)
  }

  /// FNV-1a with 64 bits; Swift's own hash differs between runs.
  package static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
