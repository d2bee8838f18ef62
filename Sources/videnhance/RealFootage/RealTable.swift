// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Training
import Videnhance

/// One of the tables of real footage.
enum RealTable: String, CaseIterable, Sendable {
  /// Super-resolution x2.
  case real
  /// The same size, compression removed.
  case restore

  /// The kinds of degradation.
  var kinds: [(name: String, chain: DegradationChain)] {
    self == .real ? [("clean", .clean)] + DegradationChain.fixed : DegradationChain.fixedAtFullSize
  }

  var task: EnhancementTask { self == .real ? .superResolution : .restoration }
  var factor: Int { self == .real ? 2 : 1 }
  var title: String { self == .real ? "Real footage, sr x2" : "Real footage, restore" }

  /// The baseline of gains.
  var ground: (name: String, filter: String) {
    self == .real ? ("bicubic", Self.enlarged("bicubic")) : ("decoded", "null")
  }

  /// Other filters that are always shown.
  var filters: [(name: String, filter: String)] {
    self == .real ? [("Lanczos", Self.enlarged("lanczos"))] : []
  }

  /// Chains of which the best in PSNR is shown: cleaning filters, and some that sharpen after enlarging. Not every
  /// FFmpeg has all of them: Debian's lacks uspp.
  var sweep: [String] {
    let cleaning = [
      "hqdn3d=1.5", "hqdn3d=3", "spp=4:3", "spp=4:6", "uspp=3:4", "uspp=3:8", "nlmeans=s=1.5:p=5:r=9",
      "nlmeans=s=3:p=5:r=9",
    ]
    guard self == .real else {
      return cleaning + [
        "hqdn3d=6", "spp=4:10", "spp=4:15", "uspp=3:12", "uspp=3:18", "nlmeans=s=5:p=5:r=9",
        "deblock=filter=strong",
      ]
    }
    return (["null"] + cleaning).flatMap { filter in
      ["", ",unsharp=5:5:0.4:5:5:0", ",unsharp=5:5:0.8:5:5:0"].map { sharpening in
        filter + "," + Self.enlarged("lanczos") + sharpening
      }
    }
  }

  private static func enlarged(_ kernel: String) -> String { "scale=iw*2:ih*2:flags=\(kernel)" }

  /// Our networks.
  func networks(_ bits: [NetworkBits]) -> [(name: String, choice: NetworkChoice)] {
    var tiers: [(NetworkTier, Ensemble)] = [(.best, .one), (.balanced, .one), (.fast, .one)]
    if self == .real { tiers.insert((.best, .four), at: 0) }
    return tiers.flatMap { tier, ensemble in
      bits.map { bits in
        let choice = NetworkChoice(
          task, scale: self == .real ? 2 : nil, bits: bits, tier: tier, ensemble: ensemble)
        let images = ensemble == .one ? "" : ", ensemble of \(ensemble.rawValue)"
        return ("videnhance \(tier.rawValue)\(images), \(bits.rawValue) bits", choice)
      }
    }
  }

  // MARK: - Markdown

  /// A table of one clip of one kind.
  func markdown(_ rows: [RealRow]) -> String {
    guard let first = rows.first else { return "" }
    let lines = rows.map { row -> String in
      let name = row.contender == Self.sweepName ? "\(row.contender): `\(row.settings)`" : row.contender
      let cells = [
        name, Self.text(row.psnr, "%.2f"), Self.text(row.ssim, "%.4f"), Self.text(row.flicker, "%.3f"),
        Self.text(row.vmafNEG, "%.1f"), Self.text(row.cpuSecondsPerFrame, "%.3f"),
      ]
      return "| " + cells.joined(separator: " | ") + " |"
    }
    return "\(title): \(first.clip), \(first.kind), \(first.frames) frames\n\n"
      + "| by | PSNR dB | SSIM | flicker | VMAF NEG | CPU s a frame |\n|---|---|---|---|---|---|\n"
      + lines.joined(separator: "\n") + "\n"
  }

  /// Mean gains over the baseline, and processor time, of the contenders that ran on every clip of a kind.
  func summary(_ rows: [RealRow]) -> String {
    let kinds = kinds.map(\.name).filter { kind in rows.contains { $0.kind == kind } }
    let clips = Set(rows.map(\.clip))
    var names: [String] = []
    for row in rows where !names.contains(row.contender) && row.contender != ground.name {
      names.append(row.contender)
    }
    let lines = names.map { name -> String in
      let cells = kinds.map { kind -> String in
        let pairs = rows.filter { $0.contender == name && $0.kind == kind }.compactMap { row in
          rows.first { $0.contender == ground.name && $0.kind == kind && $0.clip == row.clip }.map {
            (row, $0)
          }
        }
        guard Set(pairs.map(\.0.clip)) == clips else { return "-" }
        let psnr = Self.mean(pairs.map { Self.difference($0.psnr, $1.psnr) })
        let score = Self.mean(pairs.map { Self.difference($0.vmafNEG, $1.vmafNEG) })
        return "\(Self.text(psnr, "%+.2f")) / \(Self.text(score, "%+.1f"))"
      }
      let time = Self.mean(rows.filter { $0.contender == name }.map(\.cpuSecondsPerFrame))
      return "| " + ([name] + cells + [Self.text(time, "%.3f")]).joined(separator: " | ") + " |"
    }
    return "\(title): gain over \(ground.name) in PSNR dB / VMAF NEG, mean of \(clips.count) clips\n\n"
      + "| by | " + kinds.joined(separator: " | ") + " | CPU s a frame |\n|---"
      + String(repeating: "|---", count: kinds.count + 1) + "|\n" + lines.joined(separator: "\n") + "\n"
  }

  /// The row of the best chain.
  static let sweepName = "best FFmpeg chain"

  private static func difference(_ a: Double?, _ b: Double?) -> Double? {
    guard let a, let b else { return nil }
    return a - b
  }

  /// Nil if there is none, or one of them is nil.
  private static func mean(_ values: [Double?]) -> Double? {
    let known = values.compactMap { $0 }
    return known.isEmpty || known.count < values.count ? nil : known.reduce(0, +) / Double(known.count)
  }

  private static func text(_ value: Double?, _ format: String) -> String {
    value.map { String(format: format, $0) } ?? "-"
  }
}
