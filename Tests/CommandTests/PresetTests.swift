// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline
@testable import VidenhanceTool

/// `--preset`: named sets of options.
@Suite struct PresetTests {
  private func enhance(_ words: String...) throws -> Enhance {
    try #require(try Preset.parse(["in.mkv", "out.mkv"] + words) as? Enhance)
  }

  /// Returns the rows of the table in docs/reference/presets.md: name, purpose, options.
  private static func rows() throws -> [[String]] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("docs/reference/presets.md"), encoding: .utf8)
    let table = page.components(separatedBy: "\n\n").first { $0.hasPrefix("| name | for | options |") }
    return try #require(table).split(separator: "\n").dropFirst(2).map { line in
      line.split(separator: "|").map { cell in
        cell.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: "`", with: "")
      }
    }
  }

  @Test func theDocumentationListsThem() throws {
    let rows = try Self.rows()
    #expect(rows.map { $0[0] } == Preset.all.map(\.name))
    for (row, preset) in zip(rows, Preset.all) { #expect(row[2] == preset.text, "\(preset.name)") }
    let list = try Program.run("presets")
    #expect(list.code == 0)
    for preset in Preset.all {
      #expect(list.output.contains("\(preset.name): \(preset.purpose)\n  \(preset.text)\n"))
    }
    #expect(list.output.contains("auto: "))
  }

  /// Names are accepted in any case, and mistyped ones of known encoders are usage errors.
  @Test func namesHaveAnyCase() throws {
    #expect(Preset.asked(in: ["--preset", "DVD"]) == "dvd")
    let tape = try enhance("--preset", "VHS", "--codec", "H.264", "--encoder-preset", "Slow")
    #expect(tape.source.deinterlaceFields && tape.encoder.preset == "vhs")
    let settings = tape.encoder.settings(output: "out.mkv", threads: 1)
    #expect(settings.codec == "h264" && settings.preset == "slow")
    #expect(try enhance("--codec", "HEVC", "--task", "SR,Denoise").encoder.codec == "hevc")
    for (words, hint) in [
      (["--preset", "medum"], "did you mean --preset medium?"),
      (["--encoder-preset", "sloow"], "did you mean --encoder-preset slow?"),
      (["--preset", "vsh"], "did you mean --preset vhs?"),
      (["--codec", "x265", "--preset", "thing"], "placebo"),
    ] {
      let error = #expect(throws: (any Error).self) { _ = try enhanceWith(words) }
      let text = error.map { VidenhanceCommand.message(for: $0) } ?? ""
      #expect(text.contains(hint), "\(text)")
      #expect(error.map { VidenhanceCommand.exitCode(for: $0).rawValue } == 64)
    }
    // Other encoders have presets of their own.
    #expect(try enhance("--codec", "h264_nvenc", "--preset", "p5").encoder.preset == "p5")
  }

  /// Returns the options of a preset, parsed as in a run.
  @Test(arguments: Preset.all.map(\.name)) func presetsAreTheirOptions(name: String) throws {
    let preset = try #require(Preset.named(name))
    let (short, long) = (try enhance("--preset", name), try enhanceWith(preset.options.flatMap { $0 }))
    func text(_ command: Enhance) -> String {
      let network = command.network
      return "\(network.task) \(network.noise) \(network.source) \(String(describing: network.goal)) "
        + "\(String(describing: network.scale)) \(String(describing: network.bits)) "
        + "\(command.source.deinterlace) \(command.source.deinterlaceFields)"
    }
    #expect(text(short) == text(long))
    #expect(short.encoder.settings(output: "out.mkv", threads: 1).preset == nil)
  }

  private func enhanceWith(_ words: [String]) throws -> Enhance {
    try #require(try Preset.parse(["in.mkv", "out.mkv"] + words) as? Enhance)
  }

  @Test func eachOfThemMeansThis() throws {
    let phone = try enhance("--preset", "phone")
    #expect(phone.network.task.tasks == [.denoising] && phone.network.noise == .auto)
    let web = try enhance("--preset", "web")
    #expect(web.network.task.tasks == [.superResolution] && web.network.goal == .shortSide(1080))
    #expect("\(web.network.source)" == "real" && !web.source.deinterlace)
    let dvd = try enhance("--preset", "dvd")
    #expect(dvd.source.deinterlace && dvd.network.goal == .shortSide(1080))
    let vhs = try enhance("--preset", "vhs")
    #expect(vhs.source.deinterlaceFields && vhs.network.task.tasks == [.denoising, .superResolution])
    #expect(vhs.network.goal == .shortSide(720))
    let film = try enhance("--preset", "film")
    #expect(film.network.task.tasks == [.denoising] && film.network.bits.map { "\($0)" } == "eight")
    let anime = try enhance("--preset", "anime")
    #expect("\(anime.network.source)" == "clean" && anime.network.scale == 2)
  }

  @Test func givenOptionsWin() throws {
    // In any order.
    #expect(try enhance("--preset", "web", "--scale", "4").network.goal == nil)
    #expect(try enhance("--height", "900", "--preset=web").network.goal == .height(900))
    #expect("\(try enhance("--preset", "web", "--source=clean").network.source)" == "clean")
    let kept = try enhance("--preset", "dvd", "--no-deinterlace")
    #expect(!kept.source.deinterlace && kept.network.goal == .shortSide(1080))
    let fields = try enhance("--preset", "dvd", "--deinterlace-fields")
    #expect(fields.source.deinterlaceFields && !fields.source.deinterlace)
    // Options without their task are dropped.
    let denoising = try enhance("--preset", "vhs", "--task", "denoise")
    #expect(denoising.network.task.tasks == [.denoising] && denoising.network.goal == nil)
    let enlarging = try enhance("--preset", "phone", "--task", "sr")
    #expect(enlarging.network.task.tasks == [.superResolution])
    let own = try enhance("--preset", "anime", "--model-file", "a.safetensors")
    #expect(own.network.modelFile == "a.safetensors" && "\(own.network.source)" == "auto")
    // Arguments after "--" are not options.
    #expect(Preset.asked(in: ["a", "--", "--preset", "web"]) == nil)
  }

  @Test func presetsOfEncodersRemain() throws {
    func preset(_ words: String...) throws -> String? {
      let command = try #require(try Preset.parse(["in.mkv", "out.mkv"] + words) as? Enhance)
      return command.encoder.settings(output: "out.mkv", threads: 1).preset
    }
    #expect(try preset("--preset", "slow") == "slow" && preset("--encoder-preset", "slow") == "slow")
    #expect(try preset("--preset", "web", "--encoder-preset", "fast") == "fast")
    #expect(try preset("--preset", "12") == "12" && preset() == nil)
    let both = try Program.run("in.mkv", "out.mkv", "--preset", "slow", "--encoder-preset", "fast")
    #expect(both.code == 64 && both.errors.contains("contradict"))
    let misspelt = try Program.run("in.mkv", "out.mkv", "--preset", "vsh")
    #expect(misspelt.code == 64 && misspelt.errors.contains("did you mean --preset vhs?"))
  }

  private func look(
    _ width: Int, _ height: Int, noise: Float = 1, quantizer: Double? = 32, flagged: Bool = false,
    combed: Bool = false
  ) -> SourceLook {
    SourceLook(
      width: width, height: height, shownWidth: width, shownHeight: height,
      survey: SourceSurvey(codecName: "h264", isMaster: false, quantizer: quantizer), noise: noise,
      isFlaggedInterlaced: flagged, isCombed: combed)
  }

  @Test func autoGoesByTheSource() {
    func text(_ look: SourceLook) -> String { Preset.choice(for: look).text }
    #expect(text(look(640, 360)) == "--task sr --source real --to 1080p")
    #expect(text(look(640, 360, quantizer: 18)) == "--task sr --source clean --to 1080p")
    #expect(text(look(480, 854)) == "--task sr --source real --to 1080p")
    #expect(text(look(320, 240)) == "--task sr --source real --scale 4")
    #expect(
      text(look(720, 576, noise: 6, quantizer: 20, flagged: true))
        == "--deinterlace --task denoise,sr --source clean --to 1080p")
    // Strong compression makes the noise estimate unreliable.
    #expect(text(look(720, 576, noise: 6)) == "--task sr --source real --to 1080p")
    #expect(text(look(720, 576, combed: true)) == "--deinterlace --task sr --source real --to 1080p")
    #expect(text(look(1920, 1080, noise: 8, quantizer: 20)) == "--task denoise")
    #expect(text(look(1920, 1080, quantizer: nil)) == "--task restore --source real")
    // No repair needed: same as without a preset.
    #expect(text(look(1920, 1080, quantizer: 18)) == "--task sr --source clean --scale 2")
  }

  @Test func autoPrintsItsChoice() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.2 -vf noise=alls=40:allf=t -pix_fmt yuv420p -c:v ffv1",
      "in.mkv")
    let run = try Program.run(bench.path("in.mkv"), bench.path("out.mkv"), "--preset", "auto", "--scale", "2")
    #expect(run.code == 0, "\(run.errors)")
    #expect(run.errorLines.count == 2)
    let line = run.errorLines[0]
    #expect(line.hasPrefix("preset auto: 64x48, progressive, noise of "), "\(line)")
    // The size is given.
    #expect(line.contains(", ffv1, sharpness "), "\(line)")
    #expect(line.hasSuffix(": --task denoise,sr --source clean"), "\(line)")
    #expect(try bench.entries("out.mkv", "width,height") == "width=128\nheight=96\n")
    let piped = try Program.run("-", bench.path("b.mkv"), "--preset", "auto")
    #expect(piped.code == 64 && piped.errors.contains("--preset auto reads its source twice"))
  }

  @Test func verboseRunsPrintThePreset() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "64x48", seconds: 0.12)
    let run = try Program.run(video, bench.path("out.mkv"), "--preset", "anime", "--verbose")
    #expect(run.code == 0)
    #expect(run.errorLines.first == "preset anime: --task sr --source clean --scale 2")
    let silent = try Program.run(video, bench.path("b.mkv"), "--preset", "anime", "--progress", "none")
    #expect(!silent.errors.contains("preset"))
  }

  /// Each file of a folder is inspected separately.
  @Test func presetsAreChosenFileByFile() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    _ = try bench.makeVideo("in/clean.mkv", size: "64x48", seconds: 0.12)
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.12 -vf noise=alls=40:allf=t -pix_fmt yuv420p -c:v ffv1",
      "in/noisy.mkv")
    let run = try Program.run(
      "batch", bench.path("in"), bench.path("out"), "--preset", "auto", "--scale", "2")
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.errors.contains("clean.mkv: preset auto: ") && run.errors.contains("noisy.mkv: preset auto: "))
    #expect(run.errors.contains(": --task denoise,sr --source clean\n"), "\(run.errors)")
    for name in ["out/clean.mkv", "out/noisy.mkv"] {
      #expect(try bench.entries(name, "width,height") == "width=128\nheight=96\n")
    }
  }
}
