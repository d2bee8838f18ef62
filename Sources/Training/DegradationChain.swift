// SPDX-License-Identifier: Apache-2.0
package import Tensors
package import VideoIO

/// The history of a clip before it reached the user: a sequence of filters, grain and codecs.
///
/// Random second-order chains follow X. Wang et al., Real-ESRGAN (2021), and K. Chan et al., RealBasicVSR (2022); here
/// whole clips pass through real encoders with their own rate control and GOPs.
package struct DegradationChain: Codable, Hashable, Sendable {
  /// One operation on all frames of a clip.
  package enum Step: Codable, Hashable, Sendable {
    /// libavfilter filters in the syntax of FFmpeg's `-vf`, which keep the size.
    case filter(String)
    /// Gaussian noise with a standard deviation in 8-bit levels, multiplied by `chroma` in chroma.
    /// `size` is the standard deviation of its blur in samples: 0 is white noise.
    case grain(deviation: Float, chroma: Float, size: Float)
    /// Encoding and decoding with FFmpeg's encoder of this name.
    case codec(String, options: [String: String])
  }

  /// swscale's kernel for downscaling the ground truth.
  package var kernel: ScalingKernel
  /// The steps after downscaling, in order.
  package var steps: [Step]
  /// Standard deviation of a Gaussian blur of the ground truth itself, in its samples; nil means none.
  ///
  /// Nothing but sharp truth would teach a network to sharpen all that is smooth, such as film that is out of focus or was
  /// enlarged before (docs/lab/training-log.md).
  package var softness: Float?

  /// The four fixed kinds of validation and of `bench quality --tables real`, by name.
  package static let fixed: [(name: String, chain: DegradationChain)] = [
    ("web", DegradationChain(kernel: .bicubic, steps: [x264(crf: 28)])),
    (
      "soft",
      DegradationChain(
        kernel: .bicubic,
        steps: [.filter("gblur=sigma=0.9"), .grain(deviation: 2, chroma: 0.7, size: 0), x264(crf: 26)])
    ),
    ("dvd", DegradationChain(kernel: .bicubic, steps: [quantized("mpeg2video", 7, ["g": "15", "bf": "2"])])),
    (
      "old",
      DegradationChain(
        kernel: .bicubic,
        steps: [quantized("mpeg4", 6, [:]), .filter("gblur=sigma=0.5"), x264(crf: 27)])
    ),
  ]

  private static func x264(crf: Int, _ more: [String: String] = [:]) -> Step {
    .codec("libx264", options: ["crf": "\(crf)"].merging(more) { $1 })
  }

  private static func quantized(_ codec: String, _ quantizer: Int, _ more: [String: String]) -> Step {
    .codec(codec, options: ["qmin": "\(quantizer)", "qmax": "\(quantizer)"].merging(more) { $1 })
  }
}

// MARK: - Drawing

extension DegradationChain {
  /// A random chain that resembles real footage: the four common kinds at various strengths, noise with light compression,
  /// and one to three generations of arbitrary steps.
  /// - Parameters:
  ///   - width: columns of the clip, which determine bit rates.
  ///   - height: rows of the clip.
  package static func random(width: Int, height: Int, using random: inout SplitMix64) -> DegradationChain {
    let kernels: [ScalingKernel] = [.bicubic, .bicubic, .bicubic, .area, .area, .lanczos]
    let kernel = kernels[random.index(kernels.count)]
    let pixels = width * height
    let steps: [Step]
    switch random.uniform() {
    case ..<0.22: steps = [codec("libx264", pixels, &random)]
    case ..<0.5:
      // Uniform: of strongly blurred but finely coded footage, networks would see too little to learn to sharpen it.
      steps = [
        blur(0.3...1.6, isUniform: true, &random), grain(0.5...6, &random), x264(crf: 17 + random.index(14)),
      ]
    case ..<0.62: steps = [codec("mpeg2video", pixels, &random)]
    case ..<0.76:
      steps = [
        codec("mpeg4", pixels, &random), blur(0.2...1, isUniform: true, &random),
        x264(crf: 18 + random.index(14)),
      ]
    case ..<0.82:
      let noise = grain(1...20, &random)
      steps = random.chance(0.5) ? [noise] : [noise, x264(crf: 16 + random.index(9))]
    default:
      steps = (0..<[1, 2, 2, 3][random.index(4)]).flatMap { _ in generation(width, height, &random) }
    }
    return DegradationChain(kernel: kernel, steps: steps, softness: softness(using: &random))
  }

  /// `softness` of a random chain, or of a clean window.
  static func softness(using random: inout SplitMix64) -> Float? {
    guard random.chance(0.2) else { return nil }
    let draw = random.uniform()
    return 0.4 + 1.6 * draw * draw
  }

  /// Filters in random order, then a codec.
  private static func generation(_ width: Int, _ height: Int, _ random: inout SplitMix64) -> [Step] {
    var filters: [Step] = []
    if random.chance(0.4) { filters.append(blur(0.2...2, &random)) }
    if random.chance(0.35) { filters.append(resizing(width, height, &random)) }
    if random.chance(0.25) { filters.append(ringing(width, height, &random)) }
    if random.chance(0.4) { filters.append(grain(0.5...15, &random)) }
    for index in filters.indices.dropFirst() { filters.swapAt(index, random.index(index + 1)) }
    let codecs = [
      "libx264", "libx264", "libx264", "libx264", "libx265", "mpeg4", "mpeg2video", "libvpx-vp9", "mjpeg",
    ]
    filters.append(codec(codecs[random.index(codecs.count)], width * height, &random))
    return filters
  }

  /// Isotropic or anisotropic blur.
  private static func blur(
    _ sigma: ClosedRange<Float>, isUniform: Bool = false, _ random: inout SplitMix64
  ) -> Step {
    // Squared: slight blur is more common, and a network that expects strong blur sharpens too much.
    func draw() -> Float {
      let draw = random.uniform()
      return sigma.lowerBound + (sigma.upperBound - sigma.lowerBound) * (isUniform ? draw : draw * draw)
    }
    let across = draw()
    let down = random.chance(0.6) ? across : draw()
    return .filter("gblur=sigma=\(across):sigmaV=\(down):steps=2")
  }

  private static func grain(_ deviation: ClosedRange<Float>, _ random: inout SplitMix64) -> Step {
    // Squared: weak grain is more common.
    let draw = random.uniform()
    let level = deviation.lowerBound + (deviation.upperBound - deviation.lowerBound) * draw * draw
    return .grain(
      deviation: level, chroma: random.uniform(0.3...1),
      size: random.chance(0.5) ? 0 : random.uniform(0.4...1))
  }

  /// Downscaling and upscaling, as in footage that was enlarged before.
  private static func resizing(_ width: Int, _ height: Int, _ random: inout SplitMix64) -> Step {
    let kernels = ["bicubic", "bilinear", "lanczos", "area"]
    let factor = random.uniform(0.45...0.9)
    let (w, h) = (max(16, Int(Float(width) * factor) & ~1), max(16, Int(Float(height) * factor) & ~1))
    let (down, up) = (kernels[random.index(4)], kernels[random.index(3)])
    return .filter("scale=\(w):\(h):flags=\(down),scale=\(width):\(height):flags=\(up)")
  }

  /// Oversharpening, or ringing from a sharp frequency cutoff.
  private static func ringing(_ width: Int, _ height: Int, _ random: inout SplitMix64) -> Step {
    if random.chance(0.6) {
      let side = [3, 5, 7][random.index(3)]
      return .filter("unsharp=\(side):\(side):\(random.uniform(0.4...1.6)):3:3:0")
    }
    let factor = random.uniform(0.6...0.95)
    let (w, h) = (max(16, Int(Float(width) * factor) & ~1), max(16, Int(Float(height) * factor) & ~1))
    return .filter("scale=\(w):\(h):flags=sinc,scale=\(width):\(height):flags=sinc")
  }

  /// Constant quality, or a low bit rate with the encoder's rate control.
  private static func codec(_ name: String, _ pixels: Int, _ random: inout SplitMix64) -> Step {
    let group = ["12", "25", "50", "250"][random.index(4)]
    /// Bits per second at 25 frames per second, from bits per sample.
    func rate(_ range: ClosedRange<Float>) -> String {
      "\(max(20_000, Int(random.uniform(range) * Float(pixels) * 25)))"
    }
    switch name {
    case "libx264":
      var options = ["preset": ["veryfast", "fast", "medium", "medium"][random.index(4)], "g": group]
      if random.chance(0.25) {
        options["b"] = rate(0.02...0.15)
      } else {
        options["crf"] = "\(18 + random.index(21))"
      }
      return .codec(name, options: options)
    case "libx265":
      return .codec(
        name, options: ["preset": "superfast", "g": group, "crf": "\(18 + random.index(19))"])
    case "libvpx-vp9":
      return .codec(
        name,
        options: [
          "deadline": "good", "cpu-used": "5", "g": group, "b": "0", "crf": "\(24 + random.index(28))",
        ])
    case "mjpeg": return quantized(name, 2 + random.index(14), ["strict": "-1"])
    case "mpeg2video":
      let more = ["g": random.chance(0.7) ? "15" : "12", "bf": "\([0, 2, 2][random.index(3)])"]
      if random.chance(0.25) {
        return .codec(name, options: more.merging(["b": rate(0.1...0.4)]) { $1 })
      }
      return quantized(name, 2 + random.index(13), more)
    default:
      let more = ["g": group, "bf": "\([0, 0, 1, 2][random.index(4)])"]
      if random.chance(0.25) {
        return .codec(name, options: more.merging(["b": rate(0.05...0.25)]) { $1 })
      }
      return quantized(name, 2 + random.index(11), more)
    }
  }
}
