// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing
import VideoIO

@testable import Training

@Suite struct DegradationChainTests {
  private static func clip(_ count: Int = 6) -> [PlanarFrame] {
    (0..<count).map {
      texturedFrame(width: 128, height: 96, seed: 3, x: 1.5 * Double($0), y: 0.5 * Double($0))
    }
  }

  private static func difference(_ a: [PlanarFrame], _ b: [PlanarFrame]) -> Double {
    var sum = 0
    for (a, b) in zip(a, b) {
      for i in 0..<a.width * a.height { sum += abs(Int(a.luma[i]) - Int(b.luma[i])) }
    }
    return Double(sum) / Double(a.count * a[0].width * a[0].height)
  }

  @Test(arguments: DegradationChain.fixed.map(\.name))
  func fixedKindsDegradeAndCarryQuantizers(_ name: String) throws {
    let chain = try #require(DegradationChain.fixed.first { $0.name == name }).chain
    var random = SplitMix64(seed: 1)
    let clip = Self.clip()
    let degraded = try chain(clip, factor: 2, using: &random)
    #expect(degraded.count == clip.count)
    let shrunk = try clip.map { try Degradation.shrink($0, factor: 2) }
    for (index, frame) in degraded.enumerated() {
      #expect(frame.width == 64 && frame.height == 48, "frame \(index)")
      if let quantizers = frame.quantizers { #expect(quantizers.values.count == 12) }
    }
    // FFmpeg exports no quantizers for frames flushed from its MPEG-2 decoder.
    #expect(degraded.filter { $0.quantizers != nil }.count >= degraded.count - 1)
    let change = Self.difference(degraded, shrunk)
    #expect((0.3...20).contains(change), "\(name): \(change)")
  }

  /// Random seeds select every codec, filter and grain; all of them run and keep the clip's frames.
  @Test func randomChainsRun() throws {
    var random = SplitMix64(seed: 9)
    var codecs: Set<String> = []
    let clip = Self.clip(5)
    for _ in 0..<60 {
      let chain = DegradationChain.random(width: 128, height: 96, using: &random)
      #expect(try JSONDecoder().decode(DegradationChain.self, from: JSONEncoder().encode(chain)) == chain)
      for case .codec(let name, _) in chain.steps { codecs.insert(name) }
      let degraded = try chain(clip, factor: 1, using: &random)
      #expect(degraded.count == 5 && degraded.allSatisfy { $0.width == 128 && $0.height == 96 })
      let isCodedLast = if case .codec = chain.steps.last { true } else { false }
      if !isCodedLast { #expect(degraded.allSatisfy { $0.quantizers == nil }) }
    }
    #expect(
      codecs.isSuperset(of: ["libx264", "libx265", "mpeg2video", "mpeg4", "libvpx-vp9", "mjpeg"]),
      "\(codecs)")
  }

  /// Grain has the requested deviation, and only grain of a larger size is correlated between neighbours.
  @Test(arguments: [(0, -0.05...0.05), (0.8, 0.4...0.8)] as [(Float, ClosedRange<Float>)])
  func grainHasItsDeviationAndSize(_ size: Float, _ correlation: ClosedRange<Float>) {
    var random = SplitMix64(seed: 4)
    let frame = PlanarFrame(width: 128, height: 128)
    frame.luma.update(repeating: 128, count: 128 * 128 * 3 / 2)
    Grain.add(to: frame, deviation: 8, chroma: 0.5, size: size, using: &random)
    var (square, product): (Float, Float) = (0, 0)
    for y in 0..<128 {
      for x in 0..<127 {
        let a = Float(frame.luma[y * 128 + x]) - 128
        square += a * a
        product += a * (Float(frame.luma[y * 128 + x + 1]) - 128)
      }
    }
    let deviation = (square / Float(127 * 128)).squareRoot()
    #expect((7.3...8.7).contains(deviation), "\(deviation)")
    #expect(correlation.contains(product / square), "\(product / square)")
  }
}

@Suite struct DegradedFilmTests {
  private static let conditioned = Architecture(
    task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 8, channels: 8,
    blocks: 1,
    isConditioned: true)

  @Test func clipsAreMadeOnceAndCropped() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    let folder = bench.directory
    let section = try FilmSection.sections(of: folder)[0]
    let film = try Film(section: section, folder: folder)
    let chain = DegradationChain.fixed[0].chain
    let parts = [(0..<5, "web" as String?, chain), (5..<8, nil, chain)]
    for _ in 0..<2 {
      try DegradedFilm.make(
        of: film, folder: folder, factor: 2, pass: "t", seed: 1, parts: parts, log: { _ in })
    }
    let degraded = try DegradedFilm(of: film, folder: folder, factor: 2, pass: "t")
    #expect(degraded.width == 80 && degraded.height == 64)
    #expect(degraded.clips.map(\.count) == [5, 3] && degraded.clips.map(\.kind) == ["web", nil])
    var random = SplitMix64(seed: 1)
    let truth = (0..<5).map { film.crop($0, x: 0, y: 0, width: 160, height: 128) }
    let wanted = try chain(truth, factor: 2, using: &random)
    let part = degraded.crop(degraded.clips[0], 3, x: 16, y: 32, width: 32, height: 32)
    for y in 0..<32 {
      for x in 0..<32 { #expect(part.luma[y * 32 + x] == wanted[3].luma[(32 + y) * 80 + 16 + x]) }
    }
    // All blocks have the mean of the whole clip.
    let map = try #require(part.quantizers)
    #expect(map.columns == 2 && map.rows == 2)
    let all = try wanted.flatMap { try #require($0.quantizers).values.map(Int.init) }
    #expect(Set(all).count > 1)
    #expect(Set(map.values) == [UInt8(all.reduce(0, +) / all.count)])
  }

  /// A clip of soft ground truth is made from the same frames that training compares with, wherever a window lies.
  @Test func softTruthIsTheSourceOfItsClip() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    let film = try Film(section: FilmSection.sections(of: bench.directory)[0], folder: bench.directory)
    let chain = DegradationChain(kernel: .bicubic, steps: [], softness: 1.2)
    try DegradedFilm.make(
      of: film, folder: bench.directory, factor: 1, pass: "t", seed: 1, parts: [(2..<6, nil, chain)],
      log: { _ in })
    let degraded = try DegradedFilm(of: film, folder: bench.directory, factor: 1, pass: "t")
    let clip = degraded.clips[0]
    #expect(clip.chain == chain)
    for (x, y) in [(0, 0), (48, 32), (96, 64)] {
      let low = degraded.crop(clip, 1, x: x, y: y, width: 64, height: 64)
      let truth = try degraded.truth(clip, 1, x: x, y: y, width: 64, height: 64)
      let sharp = film.crop(3, x: x, y: y, width: 64, height: 64)
      func difference(_ a: PlanarFrame, _ b: PlanarFrame) -> (largest: Int, sum: Int) {
        let all = (0..<64 * 64).map { abs(Int(a.luma[$0]) - Int(b.luma[$0])) }
        return (all.max() ?? 0, all.reduce(0, +))
      }
      #expect(difference(low, truth).largest <= 1, "at \(x), \(y)")
      #expect(difference(sharp, truth).sum > 64 * 64 / 4, "at \(x), \(y)")
    }
  }

  @Test func damagedOrMissingClipsAreNamed() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    let section = try FilmSection.sections(of: bench.directory)[0]
    let film = try Film(section: section, folder: bench.directory)
    func open() throws -> DegradedFilm {
      try DegradedFilm(of: film, folder: bench.directory, factor: 2, pass: "t")
    }
    #expect { try open() } throws: { "\($0)".contains("make data") }
    try DegradedFilm.make(
      of: film, folder: bench.directory, factor: 2, pass: "t", seed: 1,
      parts: [(0..<8, nil, DegradationChain.fixed[2].chain)], log: { _ in })
    _ = try open()
    let cache = bench.directory.appendingPathComponent(".cache/\(film.name)-x2-t.degraded")
    let bytes = try Data(contentsOf: cache)
    try bytes.dropLast().write(to: cache)
    #expect { try open() } throws: { "\($0)".contains("damaged") }
  }

  /// Windows of conditioned networks have quantizers only where the share asks for them; validation reports
  /// each kind.
  @Test func conditionedWindowsAreMade() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    try DegradedClips.make(folder: bench.directory, factor: 2, passes: 1, log: { _ in })
    var shares: [Float: Int] = [:]
    for quantizerShare: Float in [0, 1] {
      var degradation = Degradation()
      degradation.cleanShare = 0.2
      degradation.quantizerShare = quantizerShare
      let maker = try WindowMaker(
        folder: bench.directory, architecture: Self.conditioned, size: 64, degradation: degradation,
        log: { _ in })
      var random = SplitMix64(seed: 5)
      for _ in 0..<24 {
        let window = try maker.make(using: &random)
        #expect(window.width == 16 && window.height == 16)
        #expect(window.frames.map(\.count) == [39, 8, 39].map { $0 * 256 })
        if window.frames[1].enumerated().contains(where: { $0 % 8 == 7 && $1 != QuantizerMap.unknown }) {
          shares[quantizerShare, default: 0] += 1
        }
      }
    }
    #expect(shares[0] == nil)
    #expect((shares[1] ?? 0) > 12)
    let validation = try ValidationSet(
      folder: bench.directory, architecture: Self.conditioned, perClip: 2, size: 128)
    let result = try validation.evaluate(lumaChannels: 16) { frames in
      let output = FloatTensor(
        batch: 1, height: frames[1].height, width: frames[1].width, channels: 24)
      for i in 0..<output.count { output.pointer[i] = 0 }
      return output
    }
    #expect(result.degradedCount == 4)
    #expect(result.clips.suffix(4).map(\.name) == ["web", "soft", "dvd", "old"])
    // The network's output is zero, so there is no gain.
    #expect(abs(result.degradedGain ?? 1) < 1e-6)
  }

}
