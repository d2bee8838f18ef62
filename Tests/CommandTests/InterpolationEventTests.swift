// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import TestSupport
import Testing

/// Interpolates through sudden changes of light and content; the job must always complete.
@Suite struct InterpolationEventTests {
  static let (width, height) = (96, 64)
  /// Frames of an event, including the static ones around it.
  static let length = 10

  /// Change between two static stretches.
  enum Event: CaseIterable {
    case flash, darkFlash, longFlash, strobe, fadeOut, fadeThroughWhite, fastFade, cut, cutToBlack, dissolve
  }

  /// Returns the luma of a moving texture; `scene` selects another texture.
  private static func luma(_ x: Int, _ y: Int, _ frame: Int, _ scene: Int) -> Double {
    let (u, v) = (Double(x + frame * (scene % 3 + 1)), Double(y + frame * (scene % 2)))
    let period = 5 + Double(scene % 7)
    return 110 + Double(scene * 37 % 61) - 30 + 40 * sin(u / period) * cos(v / (period + 2)) + 25
      * sin((u + v) / 3)
  }

  /// Returns the share of `level` that replaces the picture at frame `n` of an event; a nil level means
  /// another scene.
  private static func change(_ event: Event, _ n: Int) -> (level: Double?, share: Double) {
    let middle = length / 2
    switch event {
    case .flash: return (235, n == middle ? 0.9 : 0)
    case .darkFlash: return (16, n == middle ? 0.95 : 0)
    case .longFlash: return (235, (middle - 1...middle + 1).contains(n) ? 0.7 : 0)
    case .strobe: return (235, n % 2 == 1 ? 0.8 : 0)
    case .fadeOut: return (16, min(1, Double(n) / Double(length - 1)))
    case .fadeThroughWhite: return (235, max(0, 1 - abs(Double(n - middle)) / 3))
    case .fastFade: return (16, max(0, 1 - abs(Double(n - middle)) / 2))
    case .cut: return (nil, n < middle ? 0 : 1)
    case .cutToBlack: return (16, n < middle ? 0 : 1)
    case .dissolve: return (nil, min(max(Double(n - middle + 2) / 4, 0), 1))
    }
  }

  /// Returns fifty events, each kind five times in a shuffled order, as y4m.
  private static func film() -> (data: Data, frames: Int) {
    var random = SplitMix64(seed: 16)
    let events = (0..<5).flatMap { _ in Event.allCases }.shuffled(using: &random)
    var data = Data("YUV4MPEG2 W\(width) H\(height) F25:1 Ip A1:1 C420jpeg\n".utf8)
    for (index, event) in events.enumerated() {
      for n in 0..<length {
        data.append(contentsOf: "FRAME\n".utf8)
        let (level, share) = change(event, n)
        let frame = index * length + n
        for y in 0..<height {
          for x in 0..<width {
            let other = level ?? luma(x, y, frame, index + 1)
            let value = luma(x, y, frame, index) * (1 - share) + other * share
            data.append(UInt8(min(max(value, 16), 235)))
          }
        }
        data.append(Data(repeating: 128, count: width * height / 2))
      }
    }
    return (data, events.count * length)
  }

  @Test(arguments: [[], ["--no-scene-cut"], ["--model", "balanced"]]) func flashesFadesAndCutsNeverEndTheJob(
    options: [String]
  ) throws {
    let bench = try Workbench()
    let (data, frames) = Self.film()
    try data.write(to: URL(fileURLWithPath: bench.path("events.y4m")))
    let outcome = try Program.Run(
      [bench.path("events.y4m"), bench.path("out.mkv"), "--task", "interp", "--codec", "ffv1", "--quiet"]
        + options
    ).finish()
    #expect(outcome.code == 0, "\(outcome.errors)")
    let written = try bench.ffprobe(
      "out.mkv", "-count_packets -select_streams v:0 -show_entries stream=nb_read_packets -of csv=p=0")
    #expect(Int(written.trimmingCharacters(in: CharacterSet(charactersIn: ",\n "))) == 2 * frames)
  }
}
