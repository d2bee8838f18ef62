// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
internal import Kernels
package import Tensors

/// Creates training windows from film and photographs. Seeded: equal seeds yield equal windows.
package final class WindowMaker: Sendable {
  /// Side of the ground truth in pixels (a multiple of 2 x scale).
  package let size: Int
  private let films: [Film]
  private let filmWeights: [Float]
  private let photographs: PhotographStore
  private let architecture: Architecture
  private let degradation: Degradation
  private let photographShare: Float
  private let leastDetail: Float
  /// Additional material for conditioned networks: degraded clips of the films and of photographs.
  private let degraded: [DegradedFilm]
  private let degradedPhotographs: [DegradedFilm]
  private let degradedWeights: [Float]

  /// Opens the training data in `folder`.
  package init(
    folder: URL, architecture: Architecture, size: Int = 192, degradation: Degradation = Degradation(),
    log: (String) -> Void
  ) throws {
    let sections = try FilmSection.sections(of: folder).filter(\.isTraining)
    films = try sections.map { section in
      log("reading \(section.path)")
      return try Film(section: section, folder: folder)
    }.filter { $0.count >= architecture.window && $0.width >= size && $0.height >= size }
      .filter { architecture.task != .interpolation || $0.section.suitsInterpolation }
    let training = folder.appendingPathComponent("train")
    let hasSplit = FileManager.default.fileExists(atPath: training.path)
    photographs = try PhotographStore(
      folder: hasSplit ? training : folder, shortSides: PhotographStore.trainingShortSides)
    guard !films.isEmpty || !photographs.pictures.isEmpty else {
      throw TrainingError.noData(path: folder.path)
    }
    photographShare =
      photographs.pictures.isEmpty ? 0 : films.isEmpty ? 1 : degradation.photographShare ?? 0.6
    leastDetail = degradation.leastDetail ?? 1.5
    // Weight films by the square root of their length, so that long ones do not dominate.
    filmWeights = films.map { Float($0.count).squareRoot() }
    log(
      "\(films.count) film sections, \(films.reduce(0) { $0 + $1.count }) frames, \(photographs.pictures.count) photographs"
    )
    self.size = size
    self.architecture = architecture
    self.degradation = degradation
    guard architecture.takesQuantizers else {
      (degraded, degradedPhotographs, degradedWeights) = ([], [], [])
      return
    }
    func open(_ film: Film) throws -> [DegradedFilm] {
      // The first set is required, the others are optional.
      var sets = [
        try DegradedFilm(
          of: film, folder: folder, factor: architecture.scale, pass: DegradedClips.trainingPass(0))
      ]
      while let more = try? DegradedFilm(
        of: film, folder: folder, factor: architecture.scale, pass: DegradedClips.trainingPass(sets.count))
      {
        sets.append(more)
      }
      return sets
    }
    degraded = try films.flatMap(open)
    degradedWeights = degraded.map { Float($0.film.count).squareRoot() }
    degradedPhotographs =
      photographs.pictures.isEmpty
      ? [] : try DegradedClips.photographFilm(folder: folder, isTraining: true).map(open) ?? []
    log("\((degraded + degradedPhotographs).reduce(0) { $0 + $1.clips.count }) degraded clips")
  }

  /// Creates a window.
  package func make(using random: inout SplitMix64) throws -> TrainingWindow {
    if architecture.task == .interpolation { return try interpolation(using: &random) }
    let count = architecture.window
    if architecture.takesQuantizers && !random.chance(degradation.cleanShare) {
      return try degradedWindow(using: &random)
    }
    let (truth, origin): ([PlanarFrame], FilmPlace?) =
      random.chance(photographShare)
      ? (SyntheticMotion.window(from: photographs.pictures, count: count, size: size, using: &random), nil)
      : filmWindow(count: count, using: &random)
    let turned = Symmetry(using: &random).applied(to: truth)
    if architecture.task == .denoising {
      let scene = SceneVariety.varied(turned, share: degradation.varietyShare ?? 0, using: &random)
      var (noisy, level) = try degradation.noisy(scene, using: &random)
      if degradation.varietyShare != nil, random.chance(Degradation.repeatedShare) {
        noisy = Degradation.repeating(noisy, using: &random)
      }
      return TrainingWindow(
        frames: noisy, truth: scene[count / 2], architecture: architecture, noiseLevel: level)
    }
    if architecture.takesQuantizers {
      let softness = DegradationChain.softness(using: &random)
      let turned = try DegradationChain.softened(turned, by: softness)
      let low =
        try architecture.scale == 1
        ? turned : turned.map { try Degradation.shrink($0, factor: architecture.scale) }
      // Good sources have fine quantizers.
      if random.chance(degradation.quantizerShare ?? 0) {
        let value = UInt8(random.index(30))
        for frame in low {
          frame.quantizers = QuantizerMap(width: frame.width, height: frame.height, value: value)
        }
      }
      // What is known is the sharpness of the film, not that of its softened copy.
      let isTold = architecture.takesSharpness && softness == nil
      return TrainingWindow(
        frames: low, truth: turned[count / 2], architecture: architecture,
        sharpness: isTold ? try origin?.sharpness(factor: architecture.scale) : nil)
    }
    let low = try degradation(turned, factor: architecture.scale, using: &random)
    return TrainingWindow(frames: low, truth: turned[count / 2], architecture: architecture)
  }

  /// Fraction of the degraded windows whose sharpness is known. Unknown sharpness is the same input as a sharp source, which
  /// networks must not mistake for a soft one.
  private static let sharpnessShare: Float = 0.95

  /// Creates a window of a degraded clip.
  private func degradedWindow(using random: inout SplitMix64) throws -> TrainingWindow {
    let (count, scale) = (architecture.window, architecture.scale)
    let side = size / scale
    let hasQuantizers = random.chance(degradation.quantizerShare ?? 0)
    let fromPhotographs = !degradedPhotographs.isEmpty && random.chance(photographShare)
    let knowsSharpness = architecture.takesSharpness && random.chance(Self.sharpnessShare)
    var candidate: (low: [PlanarFrame], truth: PlanarFrame, sharpness: Float?)?
    // As with films, avoid cuts and flat pictures.
    for _ in 0..<8 {
      let source =
        fromPhotographs
        ? degradedPhotographs[random.index(degradedPhotographs.count)]
        : pick(degraded, degradedWeights, using: &random)
      let clip = source.clips[random.index(source.clips.count)]
      guard clip.count >= count else { continue }
      let first = random.index(clip.count - count + 1)
      let step = QuantizerMap.side
      let x = random.index((source.width - side) / step + 1) * step
      let y = random.index((source.height - side) / step + 1) * step
      let low = (0..<count).map {
        source.crop(clip, first + $0, x: x, y: y, width: side, height: side)
      }
      let truth = try source.truth(
        clip, first + count / 2, x: x * scale, y: y * scale, width: size, height: size)
      // Also where the ground truth is soft: a network that is never told so takes all softness for damage.
      candidate = (low, truth, knowsSharpness ? source.sharpness(of: clip) : nil)
      let begin = clip.first + first
      let hasCut = (1..<count).contains { source.film.difference(begin + $0 - 1, begin + $0) > 20 }
      if !hasCut && Self.detail(truth) > leastDetail { break }
    }
    guard let (low, truth, sharpness) = candidate else {
      preconditionFailure("clips are as long as a window")
    }
    if !hasQuantizers { for frame in low { frame.quantizers = nil } }
    let symmetry = Symmetry(using: &random)
    return TrainingWindow(
      frames: symmetry.applied(to: low), truth: symmetry.applied(to: [truth])[0], architecture: architecture,
      sharpness: sharpness)
  }

  /// Extra pixels around an interpolation window for motion search, to find large motion.
  static let motionMargin = 40

  /// Creates a window of two frames some steps apart and one between them.
  private func interpolation(using random: inout SplitMix64) throws -> TrainingWindow {
    let span = [2, 2, 2, 2, 3, 4, 4, 6, 8][random.index(9)]
    let between = 1 + random.index(span - 1)
    let isPhotograph = random.chance(photographShare * 0.6)
    var frames: [PlanarFrame] = []
    // Static pictures are of little use, but a few teach the network to preserve them.
    let leastMotion: Float = random.chance(0.1) ? 0 : 1.5
    for _ in 0..<8 {
      if isPhotograph {
        // An odd count, with an unmodified middle frame.
        let all = SyntheticMotion.window(
          from: photographs.pictures, count: 2 * between + 1, size: size, using: &random)
        let last = max(between + 1, min(all.count - 1, span))
        frames = [all[0], all[between], all[last]]
      } else {
        let film = pickFilm(using: &random)
        guard film.count > span else { continue }
        let first = random.index(film.count - span)
        let x = random.index((film.width - size) / 2 + 1) * 2
        let y = random.index((film.height - size) / 2 + 1) * 2
        let isCut = (first..<first + span).contains { film.difference($0, $0 + 1) > 20 }
        frames = [0, between, span].map { film.crop(first + $0, x: x, y: y, width: size, height: size) }
        if isCut { continue }
      }
      if Self.detail(frames[1]) > leastDetail && Self.change(frames[0], frames[2]) >= leastMotion { break }
    }
    let steps = isPhotograph ? max(between + 1, min(2 * between, span)) : span
    let symmetry = Symmetry(using: &random)
    let turned = symmetry.applied(to: frames)
    let time = symmetry.reverses ? steps - between : between
    let instant = max(1, min(BetweenMotion.unit - 1, (time * BetweenMotion.unit + steps / 2) / steps))
    let ends = try degradation.compressed([turned[0], turned[2]], using: &random)
    return TrainingWindow(
      first: ends[0], second: ends[1], truth: turned[1], instant: instant, architecture: architecture,
      margin: Self.motionMargin)
  }

  /// Mean absolute difference of the central parts of two frames.
  private static func change(_ a: PlanarFrame, _ b: PlanarFrame) -> Float {
    var (sum, samples) = (0, 0)
    for y in stride(from: a.height / 4, to: a.height * 3 / 4, by: 2) {
      for x in stride(from: a.width / 4, to: a.width * 3 / 4, by: 2) {
        sum += abs(Int(a.luma[y * a.width + x]) - Int(b.luma[y * a.width + x]))
        samples += 1
      }
    }
    return Float(sum) / Float(max(1, samples))
  }

  private func filmWindow(count: Int, using random: inout SplitMix64) -> ([PlanarFrame], FilmPlace?) {
    var candidate: ([PlanarFrame], FilmPlace?) = ([], nil)
    // Avoid cuts and flat pictures, with a limited number of attempts.
    for _ in 0..<8 {
      let film = pickFilm(using: &random)
      let first = random.index(film.count - count + 1)
      let x = random.index((film.width - size) / 2 + 1) * 2
      let y = random.index((film.height - size) / 2 + 1) * 2
      let frames = (0..<count).map { film.crop(first + $0, x: x, y: y, width: size, height: size) }
      let hasCut = (1..<count).contains { film.difference(first + $0 - 1, first + $0) > 20 }
      candidate = (frames, FilmPlace(film: film, index: first))
      if !hasCut && Self.detail(frames[count / 2]) > leastDetail { break }
    }
    return candidate
  }

  private func pickFilm(using random: inout SplitMix64) -> Film { pick(films, filmWeights, using: &random) }

  private func pick<Element>(
    _ elements: [Element], _ weights: [Float], using random: inout SplitMix64
  ) -> Element {
    var at = random.uniform() * weights.reduce(0, +)
    for (element, weight) in zip(elements, weights) {
      if at < weight { return element }
      at -= weight
    }
    return elements[elements.count - 1]
  }

  /// Mean absolute difference of horizontal neighbours, in levels.
  private static func detail(_ frame: PlanarFrame) -> Float {
    var sum = 0
    var samples = 0
    for y in stride(from: 0, to: frame.height, by: 4) {
      for x in stride(from: 0, to: frame.width - 1, by: 2) {
        let i = y * frame.width + x
        sum += abs(Int(frame.luma[i]) - Int(frame.luma[i + 1]))
        samples += 1
      }
    }
    return Float(sum) / Float(samples)
  }
}

/// A frame of a film.
private struct FilmPlace {
  let film: Film
  let index: Int

  /// The sharpness of the frames around it once they are reduced by `factor`.
  func sharpness(factor: Int) throws -> Float? { try film.sharpness(near: index, factor: factor) }
}

/// Mirroring, rotation and time reversal of a window.
struct Symmetry {
  var mirrors, flips, transposes, reverses: Bool

  init(using random: inout SplitMix64) {
    mirrors = random.chance(0.5)
    flips = random.chance(0.5)
    transposes = random.chance(0.5)
    reverses = random.chance(0.5)
  }

  /// The transformed window. Frames must be square.
  func applied(to window: [PlanarFrame]) -> [PlanarFrame] {
    let turned = window.map { frame in
      let result = PlanarFrame(width: frame.width, height: frame.height)
      turn(frame.luma, into: result.luma, side: frame.width)
      for plane in 0..<2 { turn(frame.chroma[plane], into: result.chroma[plane], side: frame.width / 2) }
      // Networks only receive their mean.
      result.quantizers = frame.quantizers
      return result
    }
    return reverses ? turned.reversed() : turned
  }

  private func turn(_ source: UnsafePointer<UInt8>, into result: UnsafeMutablePointer<UInt8>, side: Int) {
    for y in 0..<side {
      for x in 0..<side {
        let a = flips ? side - 1 - y : y
        let b = mirrors ? side - 1 - x : x
        result[y &* side &+ x] = transposes ? source[b &* side &+ a] : source[a &* side &+ b]
      }
    }
  }
}
