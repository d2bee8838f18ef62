// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests the library's documentation and sample with the tools of the Swift toolchain.
@Suite struct LibraryDocumentationTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  /// The folder of this build's modules.
  private static let built = Program.url.deletingLastPathComponent().path

  private static func hasTool(_ name: String) -> Bool { (try? runProgram("which", [name])) != nil }

  /// The compiler flags needed to import the library.
  private static let importing =
    ["-I", built + "/Modules", "-I", root + "/Sources/CFFmpeg"]
    + ["CDNNL", "CQuantKernels"].flatMap {
      ["-Xcc", "-fmodule-map-file=\(built)/\($0).build/module.modulemap"]
    }

  /// Checks that all links in the catalogue resolve and that all symbols are documented.
  @Test(.enabled(if: hasTool("docc"), "no docc is installed")) func catalogueHasNoWarnings() throws {
    let bench = try Workbench()
    let info = try runProgram("swiftc", ["-print-target-info"])
    let object = try JSONSerialization.jsonObject(with: Data(info.utf8)) as? [String: Any]
    let target = object?["target"] as? [String: Any]
    let triple = try #require(target?["unversionedTriple"] as? String)
    try runProgram(
      "swift",
      ["symbolgraph-extract", "-module-name", "Videnhance", "-target", triple] + Self.importing
        + ["-output-dir", bench.directory.path])
    try runProgram(
      "docc",
      [
        "convert", Self.root + "/Sources/VidenhanceLibrary/Videnhance.docc", "--additional-symbol-graph-dir",
        bench.directory.path, "--output-path", bench.path("out"), "--warnings-as-errors",
      ])
    let pages = bench.path("out/data/documentation/videnhance/")
    for page in ["choosingnetworks.json", "networkchoice.json", "networkcatalog.json"] {
      #expect(FileManager.default.fileExists(atPath: pages + "/" + page), "\(page)")
    }
  }

  /// Type-checks the sample program against the library's public interface. `make sample` builds and runs it.
  @Test func sampleCompiles() throws {
    try runProgram(
      "swiftc",
      ["-typecheck", "-swift-version", "6"] + Self.importing
        + [Self.root + "/samples/FrameByFrame/Sources/FrameByFrame/main.swift"])
  }
}
