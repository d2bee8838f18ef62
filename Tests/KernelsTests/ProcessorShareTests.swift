// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Kernels

/// Tests the limits of control groups, which Linux provides as files.
@Suite struct ProcessorShareTests {
  /// Creates a tree of files below a temporary folder; returns the folder.
  private func tree(_ files: [String: String]) throws -> String {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("groups-\(UUID().uuidString)")
    for (path, text) in files {
      let file = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    return root.path
  }

  @Test func tightestGroupApplies() throws {
    let root = try tree([
      "cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n", "a/b/cpu.max": "400000 100000\n",
    ])
    defer { try? FileManager.default.removeItem(atPath: root) }
    #expect(ProcessorShare.quota(groups: "0::/a/b\n", root: root) == 2.5)
    #expect(ProcessorShare.quota(groups: "0::/\n", root: root) == nil)
    // A container sees its own group as the root, regardless of the path.
    let own = try tree(["cpu.max": "100000 100000\n"])
    defer { try? FileManager.default.removeItem(atPath: own) }
    #expect(ProcessorShare.quota(groups: "0::/elsewhere/x\n", root: own) == 1)
  }

  @Test func firstVersionOfControlGroups() throws {
    let root = try tree([
      "cpu,cpuacct/job/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
      "cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    ])
    defer { try? FileManager.default.removeItem(atPath: root) }
    #expect(ProcessorShare.quota(groups: "3:memory:/x\n2:cpu,cpuacct:/job\n", root: root) == 1.5)
    #expect(ProcessorShare.quota(groups: "2:cpu,cpuacct:/\n", root: root) == nil)
  }

  @Test func masksAreCounted() {
    let lines = "Threads:\t1\nCpus_allowed:\tff,0000000b\nCpus_allowed_list:\t0-1,3,32-39\n"
    #expect(ProcessorShare.bound(status: lines) == 11)
    #expect(ProcessorShare.bound(status: "Cpus_allowed:\t1\n") == 1)
    #expect(ProcessorShare.bound(status: "Threads:\t1\n") == nil)
  }

  @Test(arguments: ["", "garbage", "0:", "0::/a", "1:cpu:/a", "0::/../../x"])
  func invalidFilesAreIgnored(groups: String) throws {
    let root = try tree(["a/cpu.max": "x y z\n", "cpu/a/cpu.cfs_quota_us": "nan\n"])
    defer { try? FileManager.default.removeItem(atPath: root) }
    #expect(ProcessorShare.quota(groups: groups, root: root) == nil)
    #expect(ProcessorShare.count >= 1)
  }
}
