// SPDX-License-Identifier: Apache-2.0
import Kernels
import TestSupport
import Testing

/// What the program makes of its arguments.
@Suite struct UsageTests {
  @Test(arguments: [
    ["in.mkv"], ["in.mkv", "out.mkv", "third.mkv"], ["in.mkv", "out.mkv", "--bits", "5"],
    ["in.mkv", "out.mkv", "--bits", "four"], ["in.mkv", "out.mkv", "--task", "paint"],
    ["in.mkv", "out.mkv", "--threads", "0"], ["in.mkv", "out.mkv", "--encoder-option", "keyint"],
    ["in.mkv", "out.mkv", "--encoder-option", "=3"], ["in.mkv", "out.mkv", "--crf", "low"],
    ["in.mkv", "out.mkv", "--task", "sr,sr"], ["in.mkv", "out.mkv", "--task", "interp,"],
    ["in.mkv", "out.mkv", "--factor", "2"], ["in.mkv", "out.mkv", "--task", "interp", "--factor", "1"],
    ["in.mkv", "out.mkv", "--task", "interp", "--fps", "0"],
    ["in.mkv", "out.mkv", "--task", "interp", "--fps", "50", "--factor", "2"],
    ["in.mkv", "out.mkv", "--task", "interp,sr", "--model-file", "m"], ["in.mkv", "out.mkv", "--wings"],
    ["in.mkv", "out.mkv", "--quiet", "--verbose"], ["in.mkv", "out.mkv", "--isa", "sse9"],
  ])
  func wrongUsageIsCode64(arguments: [String]) throws {
    let run = try Program.Run(arguments).finish()
    #expect(run.code == 64)
    #expect(run.output == "")
    #expect(run.errors.hasPrefix("Error: "))
  }

  @Test func badBitsAreToldTheGoodOnes() throws {
    let run = try Program.run("in.mkv", "out.mkv", "--bits", "5")
    #expect(["2", "3", "4", "6", "8", "32"].allSatisfy { run.errors.contains("- \($0)\n") })
  }

  @Test func instructionSetsThatAreMissingAreToldTheOthers() throws {
    let known = InstructionSet.supported.map(\.name)
    let unknown = try Program.run("in.mkv", "out.mkv", "--isa", "sse9")
    #expect(unknown.code == 64 && known.allSatisfy { unknown.errors.contains("'\($0)'") })
    let absent = try #require(InstructionSet.allCases.first { !$0.isSupported })
    let run = try Program.run("in.mkv", "out.mkv", "--isa", absent.name)
    #expect(run.code == 64 && run.errors.hasPrefix("Error: --isa \(absent.name): this machine has "))
    #expect(run.errors.contains(known.joined(separator: ", ")))
  }

  @Test func helpNamesEveryOption() throws {
    let general = try Program.run("--help")
    #expect(general.code == 0)
    for word in ["videnhance in.mp4 out.mp4", "Exit codes: 0 done", "130", "enhance (default)"] {
      #expect(general.output.contains(word))
    }
    let help = try Program.run("help", "enhance")
    #expect(help.code == 0 && help.errors == "")
    for option in [
      "--task", "--bits", "--model-file", "--codec", "--crf", "--preset", "--encoder-option", "--pix-fmt",
      "--container",
      "--threads", "--isa", "--overwrite", "--no-scene-cut", "--quiet", "--verbose", "--profile",
    ] { #expect(help.output.contains(option + " ") || help.output.contains(option + "\n")) }
  }

  @Test func version() throws {
    let run = try Program.run("--version")
    #expect(run.code == 0)
    #expect(run.output.split(separator: ".").count == 3)
  }
}
