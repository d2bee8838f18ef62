// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// How many processors this process may use: of those of the machine, the ones that it is bound to (taskset, Slurm), and no
/// more than the time that its group is given (containers, Kubernetes, systemd).
package enum ProcessorShare {
  /// The number, at least 1. Told once: neither changes under a process that is at work, or hardly ever.
  package static let count: Int = {
    let bound = affinity ?? ProcessInfo.processInfo.activeProcessorCount
    guard let quota = quota(groups: text("/proc/self/cgroup") ?? "", root: "/sys/fs/cgroup") else {
      return max(1, bound)
    }
    return max(1, min(bound, Int(quota.rounded(.up))))
  }()

  /// Processors that the process is bound to; nil where the system does not tell.
  private static var affinity: Int? { text("/proc/self/status").flatMap { bound(status: $0) } }

  /// Processors that a process may run on.
  /// - Parameter status: what `/proc/self/status` holds.
  static func bound(status: String) -> Int? {
    // Hexadecimal digits, and commas between every eight.
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
      return nil
    }
    let count = line.dropFirst(13).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
    return count > 0 ? count : nil
  }

  /// Processors' worth of time that Linux gives to a group of processes; nil if that is not limited.
  /// - Parameters:
  ///   - groups: what `/proc/self/cgroup` holds.
  ///   - root: where the groups' files are.
  static func quota(groups: String, root: String) -> Double? {
    var quotas: [Double] = []
    for line in groups.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 3 else { continue }
      if parts[0] == "0", parts[1].isEmpty {
        for folder in [root, root + "/unified"] {
          quotas += levels(folder, parts[2]).compactMap { text($0 + "/cpu.max").flatMap(unified) }
        }
      } else if parts[1].split(separator: ",").contains("cpu") {
        for folder in [root + "/cpu", root + "/" + parts[1]] {
          quotas += levels(folder, parts[2]).compactMap(legacy)
        }
      }
    }
    return quotas.min()
  }

  /// The folders of a group and of those around it, down from the root, which is all that a container may see.
  private static func levels(_ root: String, _ path: String) -> [String] {
    var folder = root
    return [root]
      + path.split(separator: "/").map {
        folder += "/" + $0
        return folder
      }
  }

  /// `QUOTA PERIOD` in microseconds; nil for `max`.
  private static func unified(_ text: String) -> Double? {
    let numbers = text.split(whereSeparator: \.isWhitespace).map { Double($0) }
    guard numbers.count == 2, let quota = numbers[0], let period = numbers[1] else { return nil }
    return ratio(quota, period)
  }

  private static func legacy(_ folder: String) -> Double? {
    let numbers = ["cfs_quota_us", "cfs_period_us"].map {
      text("\(folder)/cpu.\($0)").flatMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    guard let quota = numbers[0], let period = numbers[1] else { return nil }
    return ratio(quota, period)
  }

  private static func ratio(_ quota: Double, _ period: Double) -> Double? {
    quota > 0 && period > 0 && quota.isFinite && period.isFinite ? min(quota / period, 1e6) : nil
  }

  private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
