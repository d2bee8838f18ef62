// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What the documentation refers to exists: linked pages and headings, files, tests and targets.
@Suite struct DocumentationTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  private static func text(_ path: String) throws -> String {
    try String(contentsOfFile: root + "/" + path, encoding: .utf8)
  }

  /// Paths, from the repository's root, of all files below `folder`.
  private static func files(below folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: root + "/" + folder).map { folder + "/" + $0 }
  }

  private static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root + "/" + path)
  }

  private static func documents() throws -> [String] {
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "samples/README.md"]
      + (try files(below: "docs") + files(below: "Sources")).filter { $0.hasSuffix(".md") }.sorted()
  }

  /// Anchors of a page's headings, as GitHub makes them.
  private static func anchors(in page: String) -> Set<String> {
    var result: Set<String> = []
    for line in page.split(separator: "\n") where line.hasPrefix("#") {
      let title = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
      let kept = title.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
      result.insert(kept.replacingOccurrences(of: " ", with: "-"))
    }
    return result
  }

  @Test func relativeLinksLeadToPagesAndHeadings() throws {
    var count = 0
    for document in try Self.documents() {
      let page = try Self.text(document)
      let folder = (document as NSString).deletingLastPathComponent
      for match in page.matches(of: #/\]\(([^()\s]+)\)/#) where !match.1.contains("://") {
        let parts = match.1.split(separator: "#", omittingEmptySubsequences: false).map(String.init)
        let target =
          parts[0].isEmpty
          ? document : ((folder as NSString).appendingPathComponent(parts[0]) as NSString).standardizingPath
        #expect(Self.exists(target), "\(document): \(match.1)")
        if parts.count > 1, Self.exists(target) {
          let anchors = Self.anchors(in: try Self.text(target))
          #expect(anchors.contains(parts[1]), "\(document): \(match.1)")
        }
        count += 1
      }
    }
    #expect(count > 40, "\(count) links")
  }

  /// File names between backquotes, such as `kernels.h`, and paths of pages in sources and scripts.
  @Test func namedFilesExist() throws {
    let sources = try ["Sources", "Tests", "Benchmarks", "Scripts", "samples", "docs"].flatMap(Self.files)
    let names = Set(sources.map { ($0 as NSString).lastPathComponent })
    let top = Set(try FileManager.default.contentsOfDirectory(atPath: Self.root))
    var count = 0
    for document in try Self.documents() {
      let page = try Self.text(document)
      for match in page.matches(of: #/`([A-Za-z0-9_.+-]+\.(?:swift|c|h|py|sh|md|proto))`/#) {
        let name = String(match.1)
        #expect(names.contains(name) || top.contains(name), "\(document): \(name)")
        count += 1
      }
    }
    #expect(count > 15, "\(count) files")

    count = 0
    let suffixes = [".swift", ".c", ".h", ".py", ".sh"]
    for path in sources.filter({ path in suffixes.contains { path.hasSuffix($0) } }) + ["Makefile"] {
      for match in try Self.text(path).matches(of: #/\bdocs/[A-Za-z0-9/_-]+\.(?:md|svg|png)/#) {
        #expect(Self.exists(String(match.0)), "\(path): \(match.0)")
        count += 1
      }
    }
    #expect(count > 15, "\(count) mentions of pages")
  }

  /// Tests named in tables with a column "test": `SomeTests`, `SomeTests.someTest`, `someTest` and `some...`.
  @Test func namedTestsExist() throws {
    let code = try Self.files(below: "Tests").filter { $0.hasSuffix(".swift") }.map(Self.text)
      .joined(separator: "\n")
    var count = 0
    for document in try Self.documents() {
      var column: Int?
      for line in try Self.text(document).split(separator: "\n", omittingEmptySubsequences: false) {
        let cells = line.split(separator: "|", omittingEmptySubsequences: false)
          .map { $0.trimmingCharacters(in: .whitespaces) }
        guard line.hasPrefix("|") else {
          column = nil
          continue
        }
        guard let index = column else {
          column = cells.firstIndex(of: "test") ?? cells.count
          continue
        }
        guard index < cells.count else { continue }
        for match in cells[index].matches(of: #/`([A-Za-z0-9]+)(?:\.([A-Za-z0-9]+))?(\.\.\.)?`/#) {
          let end = match.3 == nil ? "(" : ""
          let names = [String(match.1)] + (match.2.map { [String($0)] } ?? [])
          for name in names {
            let isThere =
              name.hasSuffix("Tests")
              ? code.contains("struct \(name) ") || code.contains("extension \(name) ")
              : code.contains("func \(name)\(end)")
            #expect(isThere, "\(document): \(match.0)")
          }
          count += 1
        }
      }
    }
    #expect(count > 60, "\(count) tests")
  }

  /// Types between backquotes, such as `EnhancementJob` or `Architecture.graph`, are declared somewhere.
  @Test func namedTypesExist() throws {
    let package = try Self.text("Package.swift")
    var known: Set<String> = []
    for path in try Self.files(below: "Sources") + Self.files(below: "Tests") where path.hasSuffix(".swift") {
      let code = try Self.text(path)
      for keyword in ["struct ", "class ", "enum ", "protocol ", "actor ", "typealias "] {
        for rest in code.components(separatedBy: keyword).dropFirst() {
          known.insert(String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
        }
      }
    }
    var count = 0
    for document in try Self.documents() {
      let page = try Self.text(document)
      // At least two capitals, or it may be a plain word; names that end in ".swift" are files.
      for match in page.matches(of: #/`([A-Z]+[a-z]+[A-Z][A-Za-z]*)(?:\.[A-Za-z]{2,})?`/#)
      where !match.0.hasSuffix(".swift`") {
        let name = String(match.1)
        #expect(known.contains(name) || package.contains("\"\(name)\""), "\(document): \(match.0)")
        count += 1
      }
    }
    #expect(count > 60, "\(count) types")
  }

  /// The table of docs/ARCHITECTURE.md is that of Package.swift.
  @Test func architectureListsTheTargets() throws {
    var declared: [String: String] = [:]
    let package = try Self.text("Package.swift")
    let targets = try #require(package.components(separatedBy: "\n  targets: [").last)
    for item in targets.components(separatedBy: "\n    .") {
      guard ["target(", "executableTarget(", "systemLibrary("].contains(where: item.hasPrefix),
        let name = item.firstMatch(of: #/name: "(\w+)"/#)?.1
      else { continue }
      let folder = item.firstMatch(of: #/path: "([^"]+)"/#)?.1 ?? "Sources/\(name)"
      if folder.hasPrefix("Tests/") { continue }
      let list = item.firstMatch(of: #/dependencies: \[([^\]]*)\]/#)?.1 ?? ""
      let own = list.replacing(#/\.product\([^)]*\)/#, with: "")
      let imports = own.matches(of: #/"(\w+)"/#).map { String($0.1) }.sorted()
      declared[String(name)] = "\(folder): \(imports.joined(separator: ", "))"
    }
    var listed: [String: String] = [:]
    for line in try Self.text("docs/ARCHITECTURE.md").split(separator: "\n") {
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
      guard cells.count == 6, let name = cells[1].firstMatch(of: #/`(\w+)`/#)?.1,
        let folder = cells[2].firstMatch(of: #/`([\w/]+)`/#)?.1
      else { continue }
      #expect(Self.exists(String(folder)), "\(folder)")
      let imports = cells[3].matches(of: #/`(\w+)`/#).map { String($0.1) }.sorted()
      listed[String(name)] = "\(folder): \(imports.joined(separator: ", "))"
    }
    #expect(declared.count > 10, "\(declared.count) targets")
    #expect(listed == declared)
  }
}
