// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Runs the transcripts of docs/first-hour.md, command by command, and compares what they print.
///
/// `VIDENHANCE_TRANSCRIPTS=write swift test --filter FirstHourTests` writes what is printed into the page instead.
@Suite(.serialized) struct FirstHourTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  private static let page = root.appendingPathComponent("docs/first-hour.md")
  private static let isWriting = ProcessInfo.processInfo.environment["VIDENHANCE_TRANSCRIPTS"] == "write"

  /// A command as written on the page, with its continuation lines, and the lines it prints.
  private struct Command {
    var lines: [String]
    var output: [String] = []

    /// The command for the shell.
    var text: String { String(lines.joined(separator: "\n").dropFirst(2)) }
  }

  /// A piece of a page's section, in order.
  private enum Piece {
    case prose([String])
    case file(name: String, lines: [String])
    case console([Command])

    /// The piece as lines of the page.
    var lines: [String] {
      switch self {
      case .prose(let lines): lines
      case .file(_, let lines): ["```swift"] + lines + ["```"]
      case .console(let commands): ["```console"] + commands.flatMap { $0.lines + $0.output } + ["```"]
      }
    }
  }

  /// Splits lines of Markdown. A Swift block is a file if the line before names one: "`a/b.swift`:".
  private static func pieces(_ lines: [String]) throws -> [Piece] {
    var pieces: [Piece] = []
    var prose: [String] = []
    var rest = lines[...]
    while let line = rest.popFirst() {
      guard line.hasPrefix("```"), line.count > 3 else {
        prose.append(line)
        continue
      }
      var block: [String] = []
      while let inner = rest.popFirst(), inner != "```" { block.append(inner) }
      pieces.append(.prose(prose))
      if line == "```console" {
        pieces.append(.console(try commands(block)))
      } else {
        let name = prose.last { !$0.isEmpty }?.firstMatch(of: #/`([^`]+\.swift)`:$/#)?.1
        pieces.append(.file(name: String(try #require(name, "a block without a name")), lines: block))
      }
      prose = []
    }
    return pieces + [.prose(prose)]
  }

  private static func commands(_ block: [String]) throws -> [Command] {
    var commands: [Command] = []
    var isContinued = false
    for line in block {
      if isContinued {
        commands[commands.count - 1].lines.append(line)
      } else if line.hasPrefix("$ ") {
        commands.append(Command(lines: [line]))
      } else {
        try #require(!commands.isEmpty, "output before any command: \(line)")
        commands[commands.count - 1].output.append(line)
        continue
      }
      isContinued = line.hasSuffix("\\")
    }
    return commands
  }

  // MARK: - Comparison

  /// Whether a line only reports progress; the number of such lines depends on speed.
  private static func isProgress(_ line: String) -> Bool {
    line.firstMatch(of: #/^\d+ % done, /#) != nil || line.contains(#""event":"progress""#)
  }

  /// A line without what depends on the machine and on the versions of encoders. Frames, sizes, names and words remain.
  private static func masked(_ line: String) -> String {
    line.replacing(#/\b\d+(:\d\d)+\b/#, with: "T")
      .replacing(#/\b\d+(\.\d+)? (s|fps|kB|MB|GB|levels)\b/#, with: "#")
      .replacing(#/\bquantizer \d+(\.\d+)?/#, with: "quantizer #")
      .replacing(#/\b(level|lowest|highest) \d+\.\d\b/#) { "\($0.1) #" }
      .replacing(#/\bby \d+ frames in\b/#, with: "by # frames in")
      .replacing(#/\bon \d+ threads\b/#, with: "on # threads")
      .replacing(#/\d+ frames in memory/#, with: "# frames in memory")
      .replacing(#/"(\w*[sS]econds?\w*|\w+Bytes|noise|measuredFrames|threads)":[\d.e-]+/#) { "\"\($0.1)\":#" }
      // Rows of `compare`: contender, bits, figures.
      .replacing(#/^(\S+ +(?:\d+|-))(?: +(?:[\d.]+|-)){3,}$/#) { "\($0.1) #" }
      .replacing(#/ +/#, with: " ")
  }

  private static func comparable(_ lines: [String]) -> [String] {
    lines.filter { !isProgress($0) }.map(masked)
  }

  @Test func masksHideFiguresOnly() {
    let line = "a.mp4: 10 frames, 320x180, took 0:07, speed 1.7 fps"
    #expect(Self.masked(line) == "a.mp4: 10 frames, 320x180, took T, speed #")
    #expect(Self.masked(line) != Self.masked("a.mp4: 11 frames, 320x180, took 0:07, speed 1.7 fps"))
    #expect(Self.masked("lanczos   -    26.63  0.8858    2.035  377.5        92    -") == "lanczos - #")
    #expect(
      Self.masked(#"{"frames":12,"framesPerSecond":0.6,"seconds":1.2}"#)
        == ##"{"frames":12,"framesPerSecond":#,"seconds":#}"##)
    #expect(Self.isProgress("27 % done, 3/11 frames, speed 0.2 fps, 0:33 left"))
  }

  // MARK: - Runs

  /// Flags that the linker needs for this build's objects (`make sanitize` defines UNPOOLED).
  #if UNPOOLED
    private static let linking = "-sanitize=address"
  #else
    private static let linking = ""
  #endif

  /// Makes a folder of programs that precede others: this build's program, and a stand-in for `swift`, which leaves out the
  /// linker's warnings of symbols of AddressSanitizer.
  private static func makePrograms(_ bench: Workbench) throws -> String {
    let folder = bench.path("bin")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/videnhance", withDestinationPath: Program.url.path)
    let built = Program.url.deletingLastPathComponent().path
    // The arguments are: build or run, --package-path, PACKAGE, -c, release, --quiet, and those of the program.
    let script = """
      #!/bin/bash
      set -e
      built='\(built)' root='\(root.path)' package=$3 failed=
      checkouts=$(readlink -f "$built")/../../checkouts
      program=$package/.build/$package
      if [ ! -x "$program" ]; then
        mkdir -p "$package/.build"
        modules='Videnhance|EnhancementPipeline|EnhancementModel|Kernels|LineEngine|Tensors|VideoIO|CQuantKernels|CDNNL|SystemPackage|CSystem'
        tr -d "'" < "$built/videnhance.product/Objects.LinkFileList" | grep -E "/($modules)\\.build/" > "$package/.build/objects"
        swiftc -swift-version 6 \(linking) -I "$built/Modules" -I "$root/Sources/CFFmpeg" -I "$root/Sources/CCrypto" \\
          -Xcc -fmodule-map-file="$built/CDNNL.build/module.modulemap" \\
          -Xcc -fmodule-map-file="$built/CQuantKernels.build/module.modulemap" \\
          -Xcc -fmodule-map-file="$checkouts/swift-system/Sources/CSystem/include/module.modulemap" \\
          "$package/Sources/$package/main.swift" @"$package/.build/objects" \\
          $(pkg-config --libs libavfilter libavformat libavcodec libswscale libavutil libcrypto) -ldnnl -o "$program" \\
          2> "$package/.build/log" || failed=1
        grep -v "Cannot export local symbol '__asan_" "$package/.build/log" >&2 || true
        [ -z "$failed" ]
        ln -s "$built/videnhance_EnhancementModel.resources" "$package/.build"
      fi
      [ "$1" = build ] || exec "$program" "${@:8}"
      """
    try Data(script.utf8).write(to: URL(fileURLWithPath: folder + "/swift"))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder + "/swift")
    return folder
  }

  /// Runs a command like a shell, with both outputs on one terminal.
  private static func run(_ command: String, in folder: String, programs: String) throws -> [String] {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let run = try Program.Run(
      ["-c", "exec 2>&1\n" + command], program: "/bin/bash", directory: URL(fileURLWithPath: folder),
      environment: ["PATH": programs + ":" + path]
    ).finish()
    var lines = run.output.components(separatedBy: "\n")
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  /// The line numbers of the page's users: from their heading to the next.
  private static func section(_ title: String, of lines: [String]) throws -> Range<Int> {
    let start = try #require(lines.firstIndex(of: "## " + title))
    let end = lines[(start + 1)...].firstIndex { $0.hasPrefix("## ") } ?? lines.count
    return start..<end
  }

  @Test(arguments: [("Family videos", 16), ("A power user", 17), ("A Swift programmer", 5)])
  func transcriptsAreTrue(title: String, count: Int) throws {
    let page = try String(contentsOf: Self.page, encoding: .utf8)
    var lines = page.components(separatedBy: "\n")
    let range = try Self.section(title, of: lines)
    let bench = try Workbench()
    let programs = try Self.makePrograms(bench)
    let folder = bench.path("home")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var (pieces, ran) = (try Self.pieces(Array(lines[range])), 0)
    for (index, piece) in pieces.enumerated() {
      switch piece {
      case .prose: continue
      case .file(let name, let lines):
        let url = URL(fileURLWithPath: folder + "/" + name)
        try FileManager.default.createDirectory(
          at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: url)
      case .console(var commands):
        for (number, command) in commands.enumerated() {
          let printed = try Self.run(command.text, in: folder, programs: programs)
          ran += 1
          if Self.isWriting {
            commands[number].output = printed.filter { !Self.isProgress($0) }
          } else {
            #expect(Self.comparable(printed) == Self.comparable(command.output), "\(command.text)")
          }
        }
        pieces[index] = .console(commands)
      }
    }
    #expect(ran == count)
    guard Self.isWriting else { return }
    lines.replaceSubrange(range, with: pieces.flatMap(\.lines))
    try Data(lines.joined(separator: "\n").utf8).write(to: Self.page)
  }
}
