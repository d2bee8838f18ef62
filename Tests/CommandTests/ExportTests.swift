// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite struct ExportTests {
  @Test func writesShippedAndOwnModels() throws {
    let bench = try Workbench()
    let run = try Program.run("export", "sr-x2-fast-4bit", "-o", bench.path("a.onnx"))
    #expect(run.code == 0 && run.errors == "" && run.output == "", "\(run.errors)")
    let own = try Program.run("export", try bench.makeModel(), "-o", bench.path("b.onnx"))
    #expect(own.code == 0, "\(own.errors)")
    for name in ["a.onnx", "b.onnx"] {
      // Field 1, an integer: the version of the format.
      #expect(try Data(contentsOf: URL(fileURLWithPath: bench.path(name))).prefix(2) == Data([0x08, 7]))
    }
    let again = try Program.run("export", "sr-x2-fast-4bit", "-o", bench.path("a.onnx"))
    #expect(again.code == 1 && again.errors.contains("exists (hint: ") && again.errorLines.count == 1)
  }

  @Test func refusals() throws {
    let bench = try Workbench()
    try Data("nothing".utf8).write(to: URL(fileURLWithPath: bench.path("x.safetensors")))
    for (arguments, words) in [
      (
        ["nowhere", "-o", "a.onnx"], "cannot open model nowhere: no such file (hint: pass a file, or the name"
      ),
      (["sr-x2-fast-4bti", "-o", "a.onnx"], "no such file (hint: did you mean sr-x2-fast-4bit?)"),
      (["x.safetensors", "-o", "a.onnx"], "x.safetensors"),
      (["sr-x2-fast-4bit", "-o", "none/a.onnx"], "none/a.onnx cannot be written"),
    ] {
      let run = try Program.Run(["export"] + arguments, directory: bench.directory).finish()
      #expect(run.code == 1 && run.errors.contains(words) && run.errorLines.count == 1, "\(run.errors)")
    }
    #expect(bench.contents == ["x.safetensors"])
  }
}
