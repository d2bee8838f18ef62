// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing

/// Tests `bench engine`, the interface for Benchmarks/peers.py.
@Suite struct BenchEngineTests {
  private func talk(_ lines: [String], clip: String? = nil) throws -> (
    code: Int32, answers: [String], errors: String
  ) {
    let process = Process()
    let (input, output, errors) = (Pipe(), Pipe(), Pipe())
    process.executableURL = Program.url
    process.arguments = ["bench", "engine"] + (clip.map { ["--clip", $0] } ?? [])
    (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
    try process.run()
    input.fileHandleForWriting.write(Data(lines.map { $0 + "\n" }.joined().utf8))
    try input.fileHandleForWriting.close()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text.split(separator: "\n").map(String.init), complaint)
  }

  @Test func answersLineByLine() throws {
    let bench = try Workbench()
    let (clip, model) = (try bench.makeVideo(), try bench.makeModel())
    let run = try talk(
      ["stack 4 2", "network \(model) 1", "save \(model) \(bench.path(""))", "memory"], clip: clip)
    #expect(run.code == 0 && run.errors == "" && run.answers.count == 4)
    let stack = run.answers[0].split(separator: " ")
    #expect(Double(stack[0])! > 0 && (stack[1] == "winograd-2x2" || stack[1] == "direct"))
    #expect(run.answers[1].split(separator: " ").compactMap { Double($0) }.count == 2)
    #expect(run.answers[2] == "saved" && Int(run.answers[3])! > 10)
    // Planes of a 48 x 32 grid: the input, and the output of a network of zeros.
    func floats(_ name: String) throws -> [Float] {
      try Data(contentsOf: URL(fileURLWithPath: bench.path(name + ".f32"))).withUnsafeBytes {
        Array($0.bindMemory(to: Float.self))
      }
    }
    for slot in 0..<3 { #expect(try floats("frame\(slot)").count == 6 * 48 * 32) }
    #expect(try floats("residual") == [Float](repeating: 0, count: 24 * 48 * 32))
    // In the centre frame, the second plane holds the luma samples to the right of the first plane's.
    #expect(try Set(floats("frame1")).count > 20)
  }

  @Test func reportsErrors() throws {
    #expect(try talk(["stack four 1"]).code == 64)
    let run = try talk(["network nothing 1"])
    #expect(run.code == 1 && run.errors.contains("cannot open model nothing: no such file"))
  }
}
