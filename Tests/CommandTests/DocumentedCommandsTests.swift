// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import VidenhanceTool

/// Tests that the program accepts the commands in the documentation.
@Suite struct DocumentedCommandsTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// Returns lines, from code blocks or text in backquotes, that begin with the program's name.
  private static func commands(in text: String) -> [String] {
    var found: [String] = []
    let joined = text.replacingOccurrences(of: "\\\n", with: " ")
    for line in joined.split(separator: "\n") {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      // Two spaces after the name: a diagram.
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

  /// Returns the words of a command up to a comment or a pipe; nil for a pattern that represents many
  /// commands.
  private static func words(_ command: String) -> [String]? {
    var words: [String] = []
    for word in command.split(separator: " ").dropFirst().map(String.init) {
      if word == "#" || word == "|" { break }
      if word == "..." || word.contains("<") || word.contains("[") { return nil }
      words.append(word)
    }
    return words
  }

  private static func documents() throws -> [String] {
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "samples/README.md"]
      + (try FileManager.default.subpathsOfDirectory(atPath: root.path + "/docs"))
      .filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }
  }

  @Test func commandsAreAccepted() throws {
    var count = 0
    for document in try Self.documents() {
      let text = try String(contentsOf: Self.root.appendingPathComponent(document), encoding: .utf8)
      for command in Self.commands(in: text) {
        guard let words = Self.words(command), !words.isEmpty else { continue }
        // Placeholders, such as IN OUT in the changelog and in tables, are parsed like other words.
        do {
          _ = try VidenhanceCommand.parseAsRoot(words)
        } catch {
          let isHelp = VidenhanceCommand.exitCode(for: error) == .success
          // Commands in running text, such as `videnhance bench kernels`, may lack required options.
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

  /// Tests that the make targets and scripts in the documentation exist.
  @Test func targetsAndScriptsExist() throws {
    let makefile = try String(contentsOf: Self.root.appendingPathComponent("Makefile"), encoding: .utf8)
    var count = 0
    for document in try Self.documents() {
      let text = try String(contentsOf: Self.root.appendingPathComponent(document), encoding: .utf8)
      for match in text.matches(of: /(?:`|\n    )make ([a-z]+)/) {
        #expect(makefile.contains("\n\(match.1):"), "\(document): make \(match.1)")
        count += 1
      }
      for match in text.matches(of: #/(?:Scripts|Benchmarks|samples|Tests|Sources|docs)/[A-Za-z0-9/+_.-]*\w/#)
      {
        // After a folder's name, it is a path of another package.
        let before = text[..<match.range.lowerBound]
        if before.hasSuffix("/"), !before.hasSuffix("../") { continue }
        let isThere = FileManager.default.fileExists(atPath: Self.root.path + "/" + match.0)
        // Generated files need not be in the repository; `<...>` is a placeholder.
        let isMade = match.0.hasPrefix("samples/out") || match.0 == "Benchmarks/ratios.json"
        let isPattern = text[match.range.upperBound...].hasPrefix("/<") || isMade
        #expect(isThere || isPattern, "\(document): \(match.0)")
        count += 1
      }
    }
    #expect(count > 40, "\(count)")
  }

  /// Tests that examples in help texts are accepted and fit into 80 columns, since longer lines would be
  /// wrapped.
  @Test func helpExamplesAreAccepted() throws {
    var count = 0
    func visit(_ command: any ParsableCommand.Type) {
      let lines = command.configuration.discussion.replacing(#/\\\n */#, with: " ")
      for line in command.configuration.discussion.split(separator: "\n") where line.hasPrefix("  ") {
        #expect(line.count <= 80, "\(line)")
      }
      for match in lines.matches(of: /(?:\n  |: |\| )(videnhance [^\n|]+)/) {
        // Text after several spaces explains the command.
        let text = String(match.1).components(separatedBy: "   ")[0]
        let words = text.split(separator: " ").dropFirst().map { $0.filter { $0 != "'" } }
        do {
          _ = try VidenhanceCommand.parseAsRoot(words)
        } catch {
          let isHelp = VidenhanceCommand.exitCode(for: error) == .success
          #expect(isHelp, "\(text): \(VidenhanceCommand.message(for: error))")
        }
        count += 1
      }
      for inner in command.configuration.subcommands { visit(inner) }
    }
    visit(VidenhanceCommand.self)
    #expect(count > 30, "\(count)")
  }

  @Test(arguments: ["bash", "zsh", "fish"]) func completionsAreGenerated(shell: String) throws {
    let run = try Program.run("--generate-completion-script", shell)
    #expect(run.code == 0)
    for word in ["compare", "segment-frames", "noise"] {
      #expect(run.output.contains(word), "\(shell): \(word)")
    }
    let path = ["/usr/bin/\(shell)", "/bin/\(shell)"].first(where: FileManager.default.isExecutableFile)
    guard let path, shell != "fish" else { return }
    // The shell accepts the script.
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
