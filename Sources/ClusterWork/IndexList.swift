// SPDX-License-Identifier: Apache-2.0

/// Indices of shards, such as `0,3-5`.
package struct IndexList: Sendable, Equatable {
  package var indices: [Int]

  /// Parses a list; nil if it is invalid.
  package init?(_ text: String) {
    indices = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        0 <= first, first <= last, last < 1_000_000
      else { return nil }
      indices += first...last
    }
  }

  /// Reads the index of this process from an array job's environment; nil outside of array jobs.
  /// - Throws: `PlanError.unclearIndex`.
  package static func index(environment: [String: String]) throws(PlanError) -> (index: Int, source: String)?
  {
    for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
      guard let text = environment[name], !text.isEmpty else { continue }
      guard let index = Int(text), index >= 0 else { throw .unclearIndex("\(name)=\(text) is no index") }
      return (index, name)
    }
    return nil
  }

  /// Formats numbers as a list, with ranges for consecutive ones.
  package static func text(_ numbers: [Int]) -> String {
    var runs: [(Int, Int)] = []
    for number in Set(numbers).sorted() {
      if let last = runs.last, last.1 + 1 == number {
        runs[runs.count - 1].1 = number
      } else {
        runs.append((number, number))
      }
    }
    return runs.map { $0.0 == $0.1 ? "\($0.0)" : "\($0.0)-\($0.1)" }.joined(separator: ",")
  }
}
