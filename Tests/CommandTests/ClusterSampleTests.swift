// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests samples/cluster, with imitations of the engines that are not available.
@Suite struct ClusterSampleTests {
  private static let samples = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("samples/cluster").path
  private static let options = ["--task", "denoise", "--codec", "ffv1"]

  /// Creates a folder of programs that precedes the others in PATH.
  private func makePrograms(_ bench: Workbench, _ scripts: [String: String] = [:]) throws -> String {
    let folder = bench.path("bin")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/videnhance", withDestinationPath: Program.url.path)
    for (name, text) in scripts {
      try Data(("#!/bin/sh\n" + text).utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
      try runProgram("chmod", ["+x", folder + "/" + name])
    }
    return folder + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
  }

  private func run(_ bench: Workbench, _ script: String, path: String, _ environment: [String: String] = [:])
    throws
    -> Outcome
  {
    try Program.Run(
      [Self.samples + "/" + script, bench.path("plan.json")], program: "/bin/bash",
      directory: bench.directory,
      environment: environment.merging(["PATH": path]) { $1 }
    ).finish()
  }

  /// With GNU parallel if it is installed, and with xargs.
  @Test(arguments: [true, false]) func parallel(mayHaveParallel: Bool) throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 4).code == 0)
    var path = try makePrograms(bench)
    if !mayHaveParallel {
      // A PATH without GNU parallel, containing only the programs that the script needs.
      let folder = bench.path("bin")
      for name in ["sh", "seq", "xargs", "grep", "nproc", "realpath"] {
        let found = try runProgram("sh", ["-c", "command -v \(name)"]).trimmingCharacters(in: .newlines)
        try FileManager.default.createSymbolicLink(atPath: folder + "/" + name, withDestinationPath: found)
      }
      path = folder
    }
    let outcome = try run(bench, "parallel.sh", path: path, ["JOBS": "2", "THREADS": "1"])
    #expect(outcome.code == 0, "\(outcome.errors)")
    try bench.expectEqual(Self.options)
  }

  /// An array whose second task fails at first, as if memory had run out, and is requeued; then the join.
  @Test func slurm() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 3).code == 0)
    let sbatch = """
      log="\(bench.path("sbatch.log"))"; echo "$*" >> "$log"
      array=
      for word in "$@"; do case $word in --array=*) array=${word#--array=} ;; esac; done
      while case ${1:-} in -*) true ;; *) false ;; esac; do shift; done
      if [ -z "$array" ]; then SLURM_JOB_ID=8 "$@" >> "$log" 2>&1; echo 8; exit 0; fi
      for id in $(seq "${array%-*}" "${array#*-}"); do
        limit=; [ "$id" = 1 ] && limit="ulimit -f 1;"
        SLURM_JOB_ID=9$id SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$id sh -c "$limit"' exec "$@"' sh "$@" >> "$log" 2>&1 ||
          [ "$id" = 1 ] || exit 1
      done
      echo 7
      """
    let scontrol = """
      echo "scontrol $*" >> "\(bench.path("sbatch.log"))"
      """
    let path = try makePrograms(bench, ["sbatch": sbatch, "scontrol": scontrol])
    let outcome = try run(bench, "slurm.sh", path: path)
    let log = try String(contentsOfFile: bench.path("sbatch.log"), encoding: .utf8)
    // A failed task prevents joining, and no partial film exists.
    #expect(log.contains("--array=0-2") && log.contains("--dependency=afterok:7"), "\(log)")
    #expect(outcome.output.contains("array 7: shards 0 to 2"), "\(outcome.output) \(outcome.errors)")
    #expect(
      !bench.contents.contains("out.mkv") && log.contains("piece is missing (1, of shard 1)"), "\(log)")
    #expect(log.contains("scontrol requeue 8"), "\(log)")
    let again = try Program.Run(
      [Self.samples + "/slurm.sh", "shard", bench.path("plan.json")], program: "/bin/bash",
      environment: ["PATH": path, "SLURM_JOB_ID": "91", "SLURM_ARRAY_TASK_ID": "1"]
    ).finish()
    #expect(again.code == 0, "\(again.errors)")
    #expect(try bench.join().code == 0)
    try bench.expectEqual(Self.options)
  }

  /// Imitates how Kubernetes uses the manifest: the arguments, with the index in the environment.
  @Test func kubernetes() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 3).code == 0)
    let manifest = try String(contentsOfFile: Self.samples + "/kubernetes.yaml", encoding: .utf8)
    let arguments = manifest.matches(of: #/args: \[(.*)\]/#).map { match in
      match.1.split(separator: ", ").map {
        $0.trimmingCharacters(in: ["\""]).replacingOccurrences(of: "/films", with: bench.directory.path)
      }
    }
    #expect(arguments.count == 2)
    let early = try Program.Run(arguments[1]).finish()
    #expect(early.code == 75, "\(early.errors)")
    for index in 0..<3 {
      let outcome = try Program.Run(arguments[0], environment: ["JOB_COMPLETION_INDEX": "\(index)"]).finish()
      #expect(outcome.code == 0, "\(outcome.errors)")
    }
    #expect(try Program.Run(arguments[1]).finish().code == 0)
    try bench.expectEqual(Self.options)
  }
}
