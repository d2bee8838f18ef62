// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import VidenhanceTool

/// Completions in real shells, with the scripts that the program prints.
@Suite struct CompletionTests {
  /// Returns the path of a shell; nil if it is not installed.
  private static func path(of shell: String) -> String? {
    ["/usr/bin/\(shell)", "/bin/\(shell)"].first(where: FileManager.default.isExecutableFile)
  }

  /// Creates a folder with videos, weights and another folder, the program, and the script for a shell.
  private func makeBench(_ shell: String) throws -> Workbench {
    let bench = try Workbench()
    for name in ["holiday.mp4", "weights.safetensors"] {
      try Data().write(to: URL(fileURLWithPath: bench.path(name)))
    }
    try FileManager.default.createDirectory(atPath: bench.path("footage"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: bench.path("videnhance"), withDestinationPath: Program.url.path)
    let script = try Program.run("--generate-completion-script", shell)
    #expect(script.code == 0 && script.errors == "")
    try Data(script.output.utf8).write(to: URL(fileURLWithPath: bench.path("script")))
    return bench
  }

  private func run(_ shell: String, _ arguments: [String], _ bench: Workbench) throws -> [String] {
    let path = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
    let run = try Program.Run(
      arguments, program: try #require(Self.path(of: shell)), directory: bench.directory,
      environment: ["PATH": bench.directory.path + ":" + path, "HOME": bench.directory.path, "TERM": "xterm"]
    ).finish()
    #expect(run.code == 0 && run.errors == "", "\(run.errors)")
    return run.output.split(separator: "\n").map(String.init)
  }

  /// Typed words, of which the last is incomplete, and the expected completions.
  private static let cases: [(words: [String], offers: [String])] = [
    // The default command: options after its files, between them and before them.
    (["holiday.mp4", "out.mp4", "--ta"], ["--task"]), (["--ta"], ["--task"]),
    (["holiday.mp4", "--encoder-o"], ["--encoder-option"]),
    (["holiday.mp4", "out.mp4", "--overw"], ["--overwrite"]),
    // Option values.
    (["holiday.mp4", "out.mp4", "--task", "den"], ["denoise"]),
    (["holiday.mp4", "out.mp4", "--task", "denoise,s"], ["denoise,sr"]),
    (["holiday.mp4", "out.mp4", "--model", "f"], ["fast"]),
    (["holiday.mp4", "out.mp4", "--preset", "vh"], ["vhs"]),
    (["holiday.mp4", "out.mp4", "--preset", "plac"], ["placebo"]),
    (["holiday.mp4", "out.mp4", "--to", "108"], ["1080p"]),
    (["holiday.mp4", "out.mp4", "--encoder-preset", "med"], ["medium"]),
    (["holiday.mp4", "out.mp4", "--container", "mat"], ["matroska"]),
    (["holiday.mp4", "out.mp4", "--pix-fmt", "yuv422p1"], ["yuv422p10le"]),
    (["compare", "holiday.mp4", "--bits", "32,8,6,4,3,"], ["32,8,6,4,3,2"]),
    (["compare", "holiday.mp4", "--also", "hqdn3d,lan"], ["hqdn3d,lanczos"]),
    (["bench", "quality", "--tables", "sr4,den", "--filters", "of"], ["off"]),
    (["help", "insp"], ["inspect"]),
    (["holiday.mp4", "out.mp4", "--codec", "libx265"], ["libx265"]),
    (["holiday.mp4", "out.mp4", "--model-file", "wei"], ["weights.safetensors"]),
    // File names and commands.
    (["holi"], ["holiday.mp4"]), (["--task", "sr", "holi"], ["holiday.mp4"]), (["insp"], ["inspect"]),
    (["enhance", "holi"], ["holiday.mp4"]),
    (["compare", "holiday.mp4", "--refer"], ["--reference"]),
    (["compare", "holiday.mp4", "--reference", "holi"], ["holiday.mp4"]),
    (["preview", "holiday.mp4", "--deinterlace-f"], ["--deinterlace-fields"]),
    (["inspect", "sr-x2-balanced-4"], ["sr-x2-balanced-4bit"]),
    (["bench", "qual"], ["quality"]), (["bench", "quality", "--filters", "of"], ["off"]),
  ]

  // MARK: - bash

  /// Returns the contents of COMPREPLY after bash's function, for each line of words.
  private func bash(_ lines: [[String]], _ bench: Workbench) throws -> [[String]] {
    var text = "source ./script\n"
    for words in lines {
      let all = (["videnhance"] + words).map { "'\($0)'" }
      text += """
        COMP_WORDS=(\(all.joined(separator: " "))); COMP_CWORD=\(words.count)
        COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
        _videnhance videnhance "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        echo "${COMPREPLY[@]}" | tr ' ' '\\n' | sort -u | tr '\\n' ' '; echo

        """
    }
    try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path("drive")))
    let path = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
    let run = try Program.Run(
      ["drive"], program: try #require(Self.path(of: "bash")), directory: bench.directory,
      environment: ["PATH": bench.directory.path + ":" + path]
    ).finish()
    #expect(run.code == 0 && run.errors == "", "\(run.errors)")
    return run.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      .map { $0.split(separator: " ").map(String.init) }
  }

  @Test(.enabled(if: path(of: "bash") != nil, "bash is not installed")) func bashCompletes() throws {
    let bench = try makeBench("bash")
    let found = try bash(Self.cases.map(\.words), bench)
    #expect(found.count == Self.cases.count)
    for (entry, found) in zip(Self.cases, found) { #expect(found == entry.offers, "\(entry.words)") }
    let more = try bash([[""], ["batch", "f"], ["holiday.mp4", "out.mp4", "--bits", ""]], bench)
    #expect(Set(more[0]).isSuperset(of: ["holiday.mp4", "batch", "compare", "doctor"]), "\(more[0])")
    #expect(more[1] == ["footage"])
    #expect(more[2].sorted() == ["2", "3", "32", "4", "6", "8"])
  }

  /// Every option of every command is completed, and those of the default command also without its name.
  @Test(.enabled(if: path(of: "bash") != nil, "bash is not installed")) func bashOffersEveryOption() throws {
    let bench = try makeBench("bash")
    var lines: [(words: [String], options: Set<String>)] = []
    func visit(_ command: CommandDump, _ names: [String]) {
      let options = Set(
        (command.arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }.filter {
          $0.kind == "long"
        }
        .map { "--\($0.name)" })
      if command.commandName == "help" || command.shouldDisplay == false { return }
      if command.subcommands?.contains(where: { $0.commandName != "help" }) != true {
        lines.append((names + ["--"], options))
        if names == ["enhance"] { lines.append((["holiday.mp4", "out.mp4", "--"], options)) }
      }
      for inner in command.subcommands ?? [] { visit(inner, names + [inner.commandName]) }
    }
    visit(try CommandDump.whole(), [])
    #expect(lines.count > 15)
    let found = try bash(lines.map(\.words), bench)
    for (line, found) in zip(lines, found) {
      #expect(
        Set(found.filter { $0.hasPrefix("--") }).isSuperset(of: line.options), "\(line.words): \(found)")
    }
  }

  // MARK: - zsh

  /// Runs zsh in a pseudoterminal, where it completes each line as if Tab were pressed and prints the line.
  @Test(.enabled(if: path(of: "zsh") != nil, "zsh is not installed")) func zshCompletes() throws {
    let bench = try makeBench("zsh")
    let lines = Self.cases.map { "videnhance " + $0.words.joined(separator: " ") }
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(
      to: URL(fileURLWithPath: bench.path("lines")))
    let driver = """
      zmodload zsh/zpty
      zpty shell 'zsh -f -i'
      zpty -w shell "PS1= PS2= RPS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -D -u"
      zpty -w shell "source ./script; setopt no_auto_list no_auto_menu no_list_beep; unset zle_bracketed_paste"
      zpty -w shell "show() { print -r -- \\$BUFFER >> shown; BUFFER= }; zle -N show; bindkey '^X^P' show"
      zpty -w shell "print ready > ready"
      for i in {1..600}; do [[ -s ready ]] && break; sleep 0.05; done
      count=0
      while read -r line; do
        zpty -w -n shell "$line"$'\\t\\x18\\x10'
        (( count++ ))
        for i in {1..600}; do
          zpty -r -t shell seen
          [[ -f shown && $(wc -l < shown) -ge $count ]] && break
          sleep 0.05
        done
      done < lines
      zpty -d shell
      """
    try Data(driver.utf8).write(to: URL(fileURLWithPath: bench.path("drive")))
    _ = try run("zsh", ["-f", "drive"], bench)
    let shown = try String(contentsOfFile: bench.path("shown"), encoding: .utf8).split(separator: "\n")
    #expect(shown.count == lines.count)
    for (entry, line) in zip(Self.cases, shown) {
      let whole = (["videnhance"] + entry.words.dropLast() + entry.offers).joined(separator: " ")
      #expect(line.trimmingCharacters(in: .whitespaces) == whole, "\(entry.words)")
    }
  }

  // MARK: - fish

  @Test(.enabled(if: path(of: "fish") != nil, "fish is not installed")) func fishCompletes() throws {
    let bench = try makeBench("fish")
    var text = "source ./script\n"
    // Completion of lists depends on the cursor's position in the word, which fish has only at a terminal.
    let cases = Self.cases.filter {
      !["--task", "--bits", "--also"].contains($0.words.dropLast().last) || $0.offers == ["holiday.mp4"]
    }
    for entry in cases {
      text += "complete -C 'videnhance \(entry.words.joined(separator: " "))' | string split -f 1 \\t"
      text += " | sort -u | string join ' '; or echo\n"
    }
    try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path("drive")))
    let found = try run("fish", ["--no-config", "drive"], bench)
    #expect(found.count == cases.count, "\(found)")
    for (entry, line) in zip(cases, found) {
      // Fish also matches the letters elsewhere in a word.
      let best = line.split(separator: " ").map(String.init).filter { $0.hasPrefix(entry.words.last ?? "") }
      #expect(best == entry.offers, "\(entry.words): \(line)")
    }
  }
}

/// The part of `--experimental-dump-help` that the tests use.
struct CommandDump: Decodable {
  struct Argument: Decodable {
    struct Name: Decodable {
      var kind, name: String
    }

    var names: [Name]?
    var shouldDisplay: Bool
    var valueName: String?
  }

  private struct Tool: Decodable { var command: CommandDump }

  var commandName: String
  var shouldDisplay: Bool?
  var arguments: [Argument]?
  var subcommands: [CommandDump]?

  /// Returns all commands of the program.
  static func whole() throws -> CommandDump {
    let run = try Program.run("--experimental-dump-help")
    return try JSONDecoder().decode(Tool.self, from: Data(run.output.utf8)).command
  }
}
