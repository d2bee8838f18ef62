// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
internal import Kernels
package import Tensors

/// Luma PSNR of a network on validation windows, and that of their bicubic enlargement.
package struct ValidationResult: Sendable {
  /// Name of the clip or photographs, PSNR of the network and of bicubic in dB; first clean sources, then degraded ones.
  package var clips: [(name: String, psnr: Double, bicubic: Double)]
  /// Mean of the gains of single degraded windows in dB, where those of clips are of errors averaged over windows, which the
  /// worst ones dominate; nil if there are none.
  package var windowGain: Double?
  /// The number of degraded clips, which come last.
  package var degradedCount = 0
  /// Mean gain on the clean clips in dB.
  package var meanGain: Double { Self.mean(clips.dropLast(degradedCount)) }
  /// Mean gain on the degraded clips in dB; nil if there are none.
  package var degradedGain: Double? { degradedCount > 0 ? Self.mean(clips.suffix(degradedCount)) : nil }

  private static func mean(_ clips: ArraySlice<(name: String, psnr: Double, bicubic: Double)>) -> Double {
    clips.isEmpty ? 0 : clips.reduce(0) { $0 + $1.psnr - $1.bicubic } / Double(clips.count)
  }
}

/// Fixed windows from the validation part of a data folder, only downscaled (or with noise added), for comparable runs.
package final class ValidationSet {
  private let groups: [(name: String, windows: [TrainingWindow])]
  private let hasMask: Bool
  private var degradedCount = 0

  /// Cuts `perClip` windows from every validation clip, and from the validation photographs with synthetic motion.
  package init(folder: URL, architecture: Architecture, perClip: Int = 8, size: Int = 256) throws {
    hasMask = architecture.isMasked
    var groups: [(String, [TrainingWindow])] = []
    var random = SplitMix64(seed: 2026)
    let isInterpolation = architecture.task == .interpolation
    // Interpolation predicts the middle one of three frames.
    let count = isInterpolation ? 3 : architecture.window
    /// Denoising is validated at a noise level in the middle of its range, estimated from the frames.
    func window(_ truth: [PlanarFrame], sharpness: Float? = nil) throws -> TrainingWindow {
      if architecture.task == .interpolation {
        return TrainingWindow(
          first: truth[0], second: truth[2], truth: truth[1], instant: BetweenMotion.unit / 2,
          architecture: architecture)
      }
      if architecture.task == .denoising {
        let noisy = truth.map { $0.copy() }
        for frame in noisy { Degradation.addNoise(frame, deviation: 25, chroma: 1, using: &random) }
        return TrainingWindow(frames: noisy, truth: truth[count / 2], architecture: architecture)
      }
      let low =
        architecture.scale == 1
        ? truth : try truth.map { try Degradation.shrink($0, factor: architecture.scale) }
      return TrainingWindow(
        frames: low, truth: truth[count / 2], architecture: architecture, sharpness: sharpness)
    }
    // Use the same centre frames for all window lengths.
    let longest = max(5, count)
    for section in try FilmSection.sections(of: folder)
    where !section.isTraining && (section.suitsInterpolation || !isInterpolation) {
      let film = try Film(section: section, folder: folder)
      guard film.count >= longest, film.width >= size, film.height >= size else { continue }
      let windows = try (0..<perClip).map { index in
        let centre = longest / 2 + (film.count - longest) * index / max(1, perClip - 1)
        let x = random.index((film.width - size) / 2 + 1) * 2
        let y = random.index((film.height - size) / 2 + 1) * 2
        return try window(
          (0..<count).map { film.crop(centre - count / 2 + $0, x: x, y: y, width: size, height: size) },
          sharpness: architecture.takesSharpness
            ? film.sharpness(near: centre, factor: architecture.scale) : nil)
      }
      groups.append((URL(fileURLWithPath: section.path).deletingPathExtension().lastPathComponent, windows))
    }
    let photographs = try PhotographStore(folder: folder.appendingPathComponent("val"))
    if !photographs.pictures.isEmpty {
      let windows = try (0..<perClip).map { _ in
        let whole = SyntheticMotion.window(
          from: photographs.pictures, count: longest, size: size, using: &random)
        return try window(Array(whole[(longest - count) / 2..<(longest + count) / 2]))
      }
      groups.append(("photographs", windows))
    }
    if architecture.takesQuantizers {
      let degraded = try Self.degraded(
        folder: folder, architecture: architecture, perClip: max(1, perClip / 2), size: size,
        hasPhotographs: !photographs.pictures.isEmpty)
      degradedCount = degraded.count
      groups += degraded
    }
    self.groups = groups
  }

  /// Windows of the degraded clips, one group per kind.
  private static func degraded(
    folder: URL, architecture: Architecture, perClip: Int, size: Int, hasPhotographs: Bool
  ) throws -> [(name: String, windows: [TrainingWindow])] {
    var films = try FilmSection.sections(of: folder).filter { !$0.isTraining }.map {
      try Film(section: $0, folder: folder)
    }
    if hasPhotographs, let film = try DegradedClips.photographFilm(folder: folder, isTraining: false) {
      films.append(film)
    }
    var random = SplitMix64(seed: 2027)
    var windows: [String: [TrainingWindow]] = [:]
    let (count, scale) = (architecture.window, architecture.scale)
    let side = size / scale
    for film in films {
      let source = try DegradedFilm(
        of: film, folder: folder, factor: scale, pass: DegradedClips.validationPass)
      guard source.width >= side, source.height >= side else { continue }
      for clip in source.clips where clip.count >= count {
        for index in 0..<perClip {
          let first = (clip.count - count) * index / max(1, perClip - 1)
          let step = QuantizerMap.side
          let x = random.index((source.width - side) / step + 1) * step
          let y = random.index((source.height - side) / step + 1) * step
          let low = (0..<count).map {
            source.crop(clip, first + $0, x: x, y: y, width: side, height: side)
          }
          let truth = film.crop(
            clip.first + first + count / 2, x: x * scale, y: y * scale, width: size, height: size)
          windows[clip.kind ?? "", default: []].append(
            TrainingWindow(
              frames: low, truth: truth, architecture: architecture,
              sharpness: architecture.takesSharpness ? source.sharpness(of: clip) : nil))
        }
      }
    }
    return DegradationChain.fixed.map { ($0.name, windows[$0.name] ?? []) }.filter { !$0.1.isEmpty }
  }

  /// Whether there are no validation windows.
  package var isEmpty: Bool { groups.isEmpty }

  /// Extents of the grid of every window.
  package var gridExtents: (height: Int, width: Int) {
    groups.first.map { ($0.windows[0].height, $0.windows[0].width) } ?? (0, 0)
  }

  /// Creates an executor for windows of this set.
  package func makeExecutor(graph: NetworkGraph, precision: FloatPrecision) throws -> FloatExecutor {
    let (height, width) = gridExtents
    return try FloatExecutor(
      graph: graph, batch: 1, height: height, width: width, precision: precision, training: false)
  }

  /// Runs a network on every window; `network` takes the slots' tensors and returns residuals, 1 = full range.
  package func evaluate(
    lumaChannels: Int, network: ([FloatTensor]) throws -> FloatTensor
  ) throws -> ValidationResult {
    var gains: [Double] = []
    let clips = try groups.enumerated().map { index, group in
      var (ours, theirs, samples) = (0.0, 0.0, 0)
      for window in group.windows {
        let (oursBefore, theirsBefore) = (ours, theirs)
        let (frames, target) = WindowPool.batch([window])
        let output = try network(frames)
        for pixel in 0..<output.pixels {
          for c in 0..<lumaChannels {
            let i = pixel * output.channels + c
            // Rounding to whole levels adds 1/12 of a squared level.
            let wanted = target.pointer[i] * 255
            var given = output.pointer[i] * 255
            if hasMask {
              let mask = i + output.channels / 2
              given += output.pointer[mask] * target.pointer[mask] * (BlendMask.floatFactor * 255)
            }
            let error = wanted - given
            ours += Double(error * error) + 1.0 / 12
            theirs += Double(wanted * wanted) + 1.0 / 12
            samples += 1
          }
        }
        if index >= groups.count - degradedCount {
          gains.append(10 * log10((theirs - theirsBefore) / (ours - oursBefore)))
        }
      }
      func psnr(_ sum: Double) -> Double { 10 * log10(255 * 255 * Double(samples) / sum) }
      return (group.name, psnr(ours), psnr(theirs))
    }
    let windowGain = gains.isEmpty ? nil : gains.reduce(0, +) / Double(gains.count)
    return ValidationResult(clips: clips, windowGain: windowGain, degradedCount: degradedCount)
  }
}
