// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The manual pages written by `make man`.
@Suite struct ManualTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  /// swift-argument-parser's tool, if built; `make test` builds it.
  private static let generator: String? = {
    let path = Program.url.deletingLastPathComponent().appendingPathComponent("generate-manual").path
    return FileManager.default.isExecutableFile(atPath: path) ? path : nil
  }()

  @Test(.enabled(if: generator != nil, "generate-manual is not built"))
  func everyCommandHasAPage() throws {
    let bench = try Workbench()
    let made = try Program.Run(
      [Program.url.path, "--multi-page", "--output-directory", bench.directory.path],
      program: try #require(Self.generator)
    ).finish()
    #expect(made.code == 0, "\(made.errors)")
    let finished = try Program.Run(
      ["Scripts/finish-manual.sh", bench.directory.path], program: "/usr/bin/bash", directory: Self.root
    ).finish()
    #expect(finished.code == 0, "\(finished.errors)")
    var expected: [String] = []
    func visit(_ command: CommandDump, _ names: [String]) throws {
      // The help command has no page.
      if command.commandName == "help" { return }
      let name = (names + [command.commandName]).joined(separator: "-")
      expected.append(name + ".1")
      let page = try String(contentsOfFile: bench.path(name + ".1"), encoding: .utf8)
      #expect(page.contains(".Dt \(name.uppercased()) 1"), "\(name)")
      #expect(page.contains(".Sh NAME\n.Nm \(name)\n"), "\(name)")
      #expect(
        page.contains(".Nm \"\((names + [command.commandName]).joined(separator: " "))\"") || names.isEmpty)
      for argument in command.arguments ?? [] where argument.shouldDisplay {
        for option in argument.names ?? [] where option.kind == "long" {
          #expect(page.contains("-\(option.name)"), "\(name): \(option.name)")
        }
      }
      for inner in command.subcommands ?? [] { try visit(inner, names + [command.commandName]) }
    }
    try visit(try CommandDump.whole(), [])
    #expect(expected.count > 20)
    #expect(bench.contents.filter { $0.hasSuffix(".1") } == expected.sorted())
    // `man` finds a command's page by its words, and its markup has no errors.
    if FileManager.default.isExecutableFile(atPath: "/usr/bin/man") {
      let page = try Program.Run(
        ["--warnings", "--no-hyphenation", "-P", "cat", "-l", bench.path("videnhance-batch.1")],
        program: "/usr/bin/man", environment: ["MANWIDTH": "80", "LC_ALL": "C.UTF-8"]
      ).finish()
      #expect(page.code == 0 && page.output.contains("--skip-existing"), "\(page.output) \(page.errors)")
    }
  }
}
