// SPDX-License-Identifier: Apache-2.0
import BatchProcessing
import Foundation
import Tensors
import TestSupport
import Testing

@testable import VidenhanceTool

/// Tests that the shares of a folder are balanced and stable.
@Suite struct BatchShareTests {
  @Test func sharesAreBalancedAndComplete() {
    var random = SplitMix64(seed: 3)
    let files = (0..<100).map { (path: "clip-\($0)", weight: 1 + random.index(1000)) }
    for count in [1, 2, 7, 100] {
      let shares = Shard.shares(of: files, count: count)
      let loads = (0..<count).map { share in
        zip(files, shares).filter { $0.1 == share }.reduce(0) { $0 + $1.0.weight }
      }
      #expect(loads.allSatisfy { $0 > 0 }, "\(count)")
      let heaviest = files.map(\.weight).max() ?? 0
      #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= heaviest, "\(loads)")
      // The order in which a machine lists files does not matter.
      let order = files.indices.sorted { files[$0].weight % 7 < files[$1].weight % 7 }
      let other = Shard.shares(of: order.map { files[$0] }, count: count)
      for (place, file) in order.enumerated() { #expect(other[place] == shares[file]) }
    }
    // Files of unknown weight are divided by number.
    #expect(Set(Shard.shares(of: (0..<8).map { ("\($0)", 0) }, count: 8)).count == 8)
  }

  @Test func numberOfSharesIsFixed() throws {
    let shard = try #require(Shard(argument: "env/4"))
    // One task of four is resubmitted alone.
    let again = try shard.resolved(environment: [
      "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "2",
    ])
    #expect(again.index == 2 && again.count == 4)
    let indices = try (1...4).map { try shard.resolved(environment: ["JOB_COMPLETION_INDEX": "\($0)"]).index }
    #expect(indices.sorted() == [0, 1, 2, 3])
    #expect(throws: BatchError.self) { try shard.resolved(environment: ["SLURM_ARRAY_TASK_ID": "5"]) }
    #expect(throws: BatchError.self) { try shard.resolved(environment: [:]) }
    #expect(Shard(argument: "env/0") == nil && Shard(argument: "env/x") == nil)
    #expect(try Shard(argument: "2/3")?.resolved(environment: ["SLURM_ARRAY_TASK_ID": "5"]).index == 1)
  }

  @Test(arguments: ["size", "duration"]) func sharesPartitionAFolder(balance: String) throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    for (index, seconds) in [0.2, 4, 0.4, 0.6, 0.4].enumerated() {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=size=48x32:rate=10:duration=\(seconds) -c:v ffv1", "in/\(index).mkv")
    }
    var made: [[String]] = []
    for id in 0..<2 {
      let outcome = try Program.Run(
        [
          "batch", bench.path("in"), bench.path("out\(id)"), "--shard", "env/2", "--balance", balance,
          "--bits", "32",
          "--model-file", try bench.makeModel(), "--threads", "2", "--quiet",
        ], environment: ["SLURM_ARRAY_TASK_ID": "\(id)"]
      ).finish()
      #expect(outcome.code == 0, "\(outcome.errors)")
      made.append(try FileManager.default.contentsOfDirectory(atPath: bench.path("out\(id)")).sorted())
    }
    #expect((made[0] + made[1]).sorted() == (0..<5).map { "\($0).mkv" })
    #expect(made.contains(["1.mkv"]), "\(made)")
  }

  /// By default, a process uses no more threads than its available processors.
  @Test func threadsFollowAffinity() throws {
    guard FileManager.default.fileExists(atPath: "/usr/bin/taskset") else { return }
    let all = try Program.run("doctor").output
    let one = try Program.Run(["-c", "0", Program.url.path, "doctor"], program: "/usr/bin/taskset").finish()
    #expect(one.output.contains(", 1 core"), "\(one.output)")
    #expect(!one.output.contains(", 1 cores") && all.contains(" core"), "\(all)")
  }
}
