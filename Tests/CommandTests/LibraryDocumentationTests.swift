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
    ["-I", built + "/Modules", "-I", root + "/Sources/CFFmpeg", "-I", root + "/Sources/CCrypto"]
    + ["CDNNL", "CQuantKernels"].flatMap {
      ["-Xcc", "-fmodule-map-file=\(built)/\($0).build/module.modulemap"]
    } + ["-Xcc", "-fmodule-map-file=\(checkouts)/swift-system/Sources/CSystem/include/module.modulemap"]
  /// The sources of the packages that this build depends on.
  private static let checkouts = Program.url.deletingLastPathComponent().resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("checkouts").path

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
    for page in ["choosingnetworks.json", "enhancement.json", "videopicture.json"] {
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

  /// Every example of the library's pages compiles, as the body of a function of another package.
  @Test func documentedExamplesAreUnderstood() throws {
    let bench = try Workbench()
    let catalogue = "Sources/VidenhanceLibrary/Videnhance.docc/"
    var code = "import Foundation\nimport Videnhance\n"
    var count = 0
    for page in [
      "docs/reference/library.md", "README.md", catalogue + "Videnhance.md",
      catalogue + "ChoosingNetworks.md",
    ] {
      let text = try String(contentsOfFile: Self.root + "/" + page, encoding: .utf8)
      for match in text.matches(of: #/```swift\n((?s).*?)```/#) {
        let body = match.1.replacing("import Videnhance\n", with: "")
        code += "func example\(count)() async throws {\n\(body)}\n"
        count += 1
      }
    }
    #expect(count >= 9, "\(count) examples")
    let file = bench.path("examples.swift")
    try Data(code.utf8).write(to: URL(fileURLWithPath: file))
    try runProgram(
      "swiftc", ["-typecheck", "-parse-as-library", "-swift-version", "6"] + Self.importing + [file])
  }

  /// Only the documented interface is public, and it is small.
  @Test func publicTypesAreTheDocumentedOnes() throws {
    let interface = Self.root + "/Sources/VidenhanceLibrary/Interface"
    let declaration = #/^\s*(?:@\w+\s+)*(?:public|open)\s/#.anchorsMatchLineEndings()
    let type = #/^(\s*)public (?:final )?(?:struct|class|enum|protocol|actor) (\w+)/#
      .anchorsMatchLineEndings()
    var types: Set<String> = []
    let files = try #require(FileManager.default.enumerator(atPath: Self.root + "/Sources"))
    for case let name as String in files where name.hasSuffix(".swift") {
      let path = Self.root + "/Sources/" + name
      let text = try String(contentsOfFile: path, encoding: .utf8)
      if path.hasPrefix(interface) {
        for match in text.matches(of: type) { types.insert(String(match.2)) }
      } else if !name.hasSuffix("NetworkOptions.swift") {
        // NetworkOptions.swift conforms public types to a protocol of another package.
        #expect(text.firstMatch(of: declaration) == nil, "\(name)")
      }
    }
    #expect(
      types == [
        "Enhancement", "Encoding", "Ensemble", "FrameRateChange", "Interlacing",
        "InterpolationMethod", "Iterator", "Kind",
        "MediaTime", "ModelLocation", "NetworkBits", "Options", "PictureLayout", "Pictures", "Progress",
        "Remark",
        "SourceKind", "Step", "Summary", "UpscalingNetwork", "UsageError", "VidenhanceError", "VideoPicture",
      ])
  }
}
