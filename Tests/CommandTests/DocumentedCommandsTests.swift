// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import VidenhanceTool

/// Commands that documents show are understood by the program.
@Suite struct DocumentedCommandsTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// Lines of documents, in code or in running text between backquotes, that begin with the program's name.
  private static func commands(in text: String) -> [String] {
    var found: [String] = []
    let joined = text.replacingOccurrences(of: "\\\n", with: " ")
    for line in joined.split(separator: "\n") {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      // Two spaces behind the name: a drawing.
      if trimmed.hasPrefix("videnhance "), !trimmed.hasPrefix("videnhance  "), line.hasPrefix("    ") {
        found.append(trimmed)
      }
      let parts = line.split(separator: "`", omittingEmptySubsequences: false)
      for index in stride(from: 1, to: parts.count, by: 2) where parts[index].hasPrefix("videnhance ") {
        found.append(String(parts[index]))
      }
    }
    return found
  }

  /// The words of a command up to a comment or a pipe; nil for a pattern that stands for many commands.
  private static func words(_ command: String) -> [String]? {
    var words: [String] = []
    for word in command.split(separator: " ").dropFirst().map(String.init) {
      if word == "#" || word == "|" { break }
      if word == "..." || word.contains("<") || word.contains("[") { return nil }
      words.append(word)
    }
    return words
  }

  @Test func areUnderstood() throws {
    let documents =
      ["README.md", "CONTRIBUTING.md"]
      + (try FileManager.default.contentsOfDirectory(atPath: Self.root.path + "/docs"))
      .filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }
    var count = 0
    for document in documents {
      let text = try String(contentsOf: Self.root.appendingPathComponent(document), encoding: .utf8)
      for command in Self.commands(in: text) {
        guard let words = Self.words(command), !words.isEmpty else { continue }
        // Placeholders of the changes and of tables, such as IN OUT, are words like others.
        do {
          _ = try VidenhanceCommand.parseAsRoot(words)
        } catch {
          let isHelp = VidenhanceCommand.exitCode(for: error) == .success
          // Half a command in running text, such as `videnhance bench kernels` without its options, may lack some.
          let lacks = "\(VidenhanceCommand.message(for: error))".hasPrefix("Missing expected argument")
          #expect(
            isHelp || (lacks && words.count < 4),
            "\(document): \(command): \(VidenhanceCommand.message(for: error))")
        }
        count += 1
      }
    }
    #expect(count > 40, "\(count) commands")
  }

  @Test(arguments: ["bash", "zsh", "fish"]) func completionsCanBeMade(shell: String) throws {
    let run = try Program.run("--generate-completion-script", shell)
    #expect(run.code == 0)
    for word in ["compare", "segment-frames", "noise"] {
      #expect(run.output.contains(word), "\(shell): \(word)")
    }
    let path = ["/usr/bin/\(shell)", "/bin/\(shell)"].first(where: FileManager.default.isExecutableFile)
    guard let path, shell != "fish" else { return }
    // The shell understands it.
    let bench = try Workbench()
    try Data(run.output.utf8).write(to: URL(fileURLWithPath: bench.path("script")))
    #expect(try Program.Run(["-n", bench.path("script")], program: path).finish().code == 0)
  }

  @Test func everyCommandHasHelpWithAnExample() throws {
    for command in VidenhanceCommand.configuration.subcommands {
      let text = VidenhanceCommand.helpMessage(for: command)
      #expect(text.contains("videnhance "), "\(command)")
      #expect(text.contains("Example"), "\(command)")
    }
  }
}
