// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing

@testable import Training

@Suite struct FilmSectionTests {
  private func sections(_ text: String) throws -> [FilmSection] {
    let bench = try Workbench()
    try text.write(toFile: bench.path("sections.tsv"), atomically: true, encoding: .utf8)
    return try FilmSection.sections(of: bench.directory)
  }

  @Test func linesAreSections() throws {
    let found = try sections("a/b.mp4\ttrain\t1.5\t20\t2\t0\t1\nc d.mkv\tval\t0\t-\t1\t1\t0\n")
    #expect(
      found == [
        FilmSection(
          path: "a/b.mp4", isTraining: true, start: 1.5, end: 20, divisor: 2, dropsDuplicates: false,
          suitsInterpolation: true),
        FilmSection(
          path: "c d.mkv", isTraining: false, start: 0, end: nil, divisor: 1, dropsDuplicates: true,
          suitsInterpolation: false),
      ])
  }

  @Test func lineEndsAndEmptyLinesDoNotMatter() throws {
    let lines = ["a.mp4\ttrain\t0\t-\t1\t0\t1", "b.mp4\tval\t0\t9\t1\t0\t1"]
    let wanted = try sections(lines.joined(separator: "\n"))
    #expect(wanted.count == 2)
    for text in [
      lines.joined(separator: "\r\n"), lines.joined(separator: "\r\n") + "\r\n",
      lines.joined(separator: "\n\n\n"),
      "\n" + lines.joined(separator: "\n") + "\n\n",
    ] {
      #expect(try sections(text) == wanted)
    }
    #expect(try sections("").isEmpty)
  }

  private static let badLines: [String] = [
    "a.mp4", "a.mp4\ttrain\t0\t-\t1\t0", "a.mp4 train 0 - 1 0 1", "a.mp4\ttrain\tzero\t-\t1\t0\t1",
    "a.mp4\ttrain\t\t-\t1\t0\t1", "a.mp4\ttrain\tnan\t-\t1\t0\t1", "a.mp4\ttrain\tinf\t-\t1\t0\t1",
    "a.mp4\ttrain\t-1\t-\t1\t0\t1", "a.mp4\ttrain\t0\t-\t0\t0\t1", "a.mp4\ttrain\t0\t-\t9\t0\t1",
    "a.mp4\ttrain\t0\t-\t1.5\t0\t1", "a.mp4\ttrain\t0\t-\t\t0\t1", "a.mp4\ttrain\t0\tlater\t1\t0\t1",
    "a.mp4\ttrain\t5\t5\t1\t0\t1", "a.mp4\ttrain\t5\t3\t1\t0\t1", "a.mp4\ttrain\t5\tnan\t1\t0\t1",
    "a.mp4\ttrian\t0\t-\t1\t0\t1", "\ttrain\t0\t-\t1\t0\t1",
  ]

  @Test(arguments: badLines)
  func badLinesAreNamed(_ line: String) throws {
    let good = "good.mp4\ttrain\t0\t-\t1\t0\t1"
    for (text, number) in [(line, 1), ("\(good)\n\(line)\n\(good)", 2), ("\(good)\n\n\n\(line)", 4)] {
      do {
        _ = try sections(text)
        Issue.record("accepted")
      } catch {
        guard case .badSections(let path, let found)? = error as? TrainingError else {
          Issue.record("\(error)")
          continue
        }
        #expect(found == number && path.hasSuffix("sections.tsv"))
        #expect("\(error)".contains("line \(number)"))
      }
    }
  }

  @Test func everyClipIsUsedWithoutATable() throws {
    let bench = try Workbench()
    for name in ["b.mp4", "a/c.MKV", "x.txt", "p.png", ".hidden/d.mp4", ".e.mp4", "a/q.JPG"] {
      let url = bench.directory.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data([1]).write(to: url)
    }
    let found = try FilmSection.sections(of: bench.directory)
    #expect(found.map(\.path) == ["a/c.MKV", "b.mp4"])
    #expect(found.allSatisfy { $0.isTraining && $0.start == 0 && $0.end == nil && $0.divisor == 1 })
    #expect(MediaFolder(bench.directory).photographs == ["a/q.JPG", "p.png"])
    #expect(MediaFolder(bench.directory.appendingPathComponent("absent")).clips.isEmpty)
  }
}

@Suite struct FilmTests {
  private func section(
    _ path: String, start: Double = 0, end: Double? = nil, divisor: Int = 1, dropsDuplicates: Bool = false
  ) -> FilmSection {
    FilmSection(
      path: path, isTraining: true, start: start, end: end, divisor: divisor,
      dropsDuplicates: dropsDuplicates,
      suitsInterpolation: true)
  }

  /// Creates a lossless clip of 20 frames at 10 per second.
  private func bench(size: String = "96x64", filter: String = "null") throws -> Workbench {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=\(size):rate=10 -frames:v 20 -vf \(filter) -pix_fmt yuv420p -c:v ffv1",
      "clip.mkv")
    return bench
  }

  private func bytes(_ film: Film, _ index: Int) -> Data {
    film.withFrame(index) { Data(bytes: $0, count: film.width * film.height * 3 / 2) }
  }

  @Test func framesMatchTheClip() throws {
    let bench = try bench()
    let film = try Film(section: section("clip.mkv"), folder: bench.directory)
    #expect(film.width == 96 && film.height == 64 && film.count == 20)
    try bench.ffmpeg("-i DIR/clip.mkv -f rawvideo -pix_fmt yuv420p", "clip.raw")
    let raw = try Data(contentsOf: URL(fileURLWithPath: bench.path("clip.raw")))
    for index in [0, 7, 19] {
      #expect(bytes(film, index) == raw[index * 9216..<(index + 1) * 9216])
    }
    #expect(film.difference(3, 3) == 0 && film.difference(3, 9) > 1)
    // A crop contains its rectangle of all planes.
    let crop = film.crop(4, x: 10, y: 20, width: 32, height: 16)
    film.withFrame(4) { frame in
      for row in 0..<16 {
        for column in 0..<32 { #expect(crop.luma[row * 32 + column] == frame[(20 + row) * 96 + 10 + column]) }
      }
      for plane in 0..<2 {
        for row in 0..<8 {
          for column in 0..<16 {
            let at = 6144 + plane * 1536 + (10 + row) * 48 + 5 + column
            #expect(crop.chroma[plane][row * 16 + column] == frame[at])
          }
        }
      }
    }
  }

  /// The extents of films are multiples of 4, those of a frame reduced by 4 must be even.
  @Test func sharpnessOfReducedFrames() throws {
    let bench = try bench(size: "404x276")
    let film = try Film(section: section("clip.mkv"), folder: bench.directory)
    let frames = try Sharpness.examinedFrames.map {
      try Degradation.shrink(film.crop($0, x: 0, y: 0, width: 400, height: 272), factor: 4)
    }
    let expected = try #require(Sharpness.estimate(frames))
    #expect(try film.sharpness(near: 0, factor: 4) == expected)
    #expect(try film.sharpness(near: 0, factor: 1) != expected)
  }

  @Test func sectionsAreCutByTime() throws {
    let bench = try bench()
    let whole = try Film(section: section("clip.mkv"), folder: bench.directory)
    let part = try Film(section: section("clip.mkv", start: 0.5, end: 1.2), folder: bench.directory)
    #expect(part.count == 7)
    #expect(bytes(part, 0) == bytes(whole, 5) && bytes(part, 6) == bytes(whole, 11))
    let rest = try Film(section: section("clip.mkv", start: 1.2), folder: bench.directory)
    #expect(rest.count == 8 && bytes(rest, 0) == bytes(whole, 12))
    #expect(try Film(section: section("clip.mkv", start: 100), folder: bench.directory).count == 0)
  }

  /// After the table has been edited, frames moved to validation must not be used for training, even if
  /// cached.
  @Test func changedEndIsDecodedAgain() throws {
    let bench = try bench()
    #expect(try Film(section: section("clip.mkv"), folder: bench.directory).count == 20)
    #expect(try Film(section: section("clip.mkv", end: 1), folder: bench.directory).count == 10)
    #expect(try Film(section: section("clip.mkv", end: 0.5), folder: bench.directory).count == 5)
    #expect(try Film(section: section("clip.mkv"), folder: bench.directory).count == 20)
  }

  @Test func divisorsShrink() throws {
    let bench = try bench(size: "150x102")
    let half = try Film(section: section("clip.mkv", divisor: 2), folder: bench.directory)
    // Extents are multiples of 4.
    #expect(half.width == 72 && half.height == 48 && half.count == 20)
    let whole = try Film(section: section("clip.mkv"), folder: bench.directory)
    #expect(whole.width == 148 && whole.height == 100)
    #expect(throws: TrainingError.tooSmall(path: bench.path("clip.mkv"))) {
      try Film(section: section("clip.mkv", divisor: 4), folder: bench.directory)
    }
  }

  @Test func repeatedFramesAreDropped() throws {
    // Every frame is repeated three times.
    let bench = try bench(filter: "fps=30")
    #expect(try Film(section: section("clip.mkv"), folder: bench.directory).count == 20)
    try bench.ffmpeg("-i DIR/clip.mkv -vf fps=30 -c:v ffv1", "thrice.mkv")
    let all = try Film(section: section("thrice.mkv"), folder: bench.directory)
    let fewer = try Film(section: section("thrice.mkv", dropsDuplicates: true), folder: bench.directory)
    #expect(fewer.count < all.count)
    #expect((1..<fewer.count).allSatisfy { fewer.difference($0 - 1, $0) > 0 })
  }

  @Test func cacheWorksWithoutTheClip() throws {
    let bench = try bench()
    let film = try Film(section: section("clip.mkv"), folder: bench.directory)
    try FileManager.default.removeItem(atPath: bench.path("clip.mkv"))
    let again = try Film(section: section("clip.mkv"), folder: bench.directory)
    #expect(again.count == 20 && bytes(again, 13) == bytes(film, 13))
    #expect(throws: (any Error).self) {
      try Film(section: section("clip.mkv", divisor: 2), folder: bench.directory)
    }
  }

  @Test func damagedCachesAreNamed() throws {
    let bench = try bench()
    _ = try Film(section: section("clip.mkv"), folder: bench.directory)
    let cache = bench.directory.appendingPathComponent(".cache")
    let names = try FileManager.default.contentsOfDirectory(atPath: cache.path)
    let frames = cache.appendingPathComponent(try #require(names.first { $0.hasSuffix(".yuv") }))
    try Data(contentsOf: frames).prefix(9216 * 20 - 1).write(to: frames)
    #expect(throws: TrainingError.badCache(path: frames.path)) {
      try Film(section: section("clip.mkv"), folder: bench.directory)
    }
    let description = cache.appendingPathComponent(try #require(names.first { $0.hasSuffix(".json") }))
    for text in [
      #"{"width":-96,"height":64,"count":20}"#, #"{"width":96,"height":64,"count":-1}"#,
      #"{"width":4611686018427387904,"height":64,"count":4}"#, "{}", "",
    ] {
      try Data(text.utf8).write(to: description)
      #expect(throws: TrainingError.badCache(path: description.path), "\(text)") {
        try Film(section: section("clip.mkv"), folder: bench.directory)
      }
    }
  }
}
