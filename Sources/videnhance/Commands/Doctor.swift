// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
import Kernels
import QualityReport
import Tensors
import Videnhance
import VideoIO

/// Shows what the program finds on this machine.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what this machine has, and what is missing.",
    discussion:
      "Example: videnhance doctor\n\nExit code 1 if something is missing that is needed without any option.")

  func run() throws {
    let diagnosis = Diagnosis.ofThisMachine()
    for line in diagnosis.lines { print(line) }
    if diagnosis.missing.contains(where: \.isNeeded) { throw ExitCode.failure }
  }
}

/// The findings about a machine.
struct Diagnosis {
  /// A missing component.
  struct Missing: Equatable {
    var what: String
    /// How to install it.
    var remedy: String
    /// Whether plain `videnhance in.mp4 out.mp4` needs it.
    var isNeeded: Bool
  }

  /// Names and values.
  private(set) var findings: [(name: String, value: String)] = []
  private(set) var missing: [Missing] = []

  /// The encoders to look for, and their uses; the first is the default.
  static let encoders = [
    ("libx264", "H.264"), ("libx265", "HEVC"), ("libsvtav1", "AV1"), ("libvpx-vp9", "VP9, for .webm"),
    ("ffv1", "lossless"), ("prores_ks", "ProRes"),
  ]

  /// Examines this machine.
  static func ofThisMachine() -> Diagnosis {
    var diagnosis = Diagnosis()
    diagnosis.findings.append(("videnhance", VidenhanceCommand.configuration.version))
    diagnosis.lookAtProcessor()
    diagnosis.lookAtLibraries(LibavBuild.libraries)
    diagnosis.lookAtEncoders { LibavBuild.hasEncoder($0) }
    diagnosis.lookAtModels()
    return diagnosis
  }

  private mutating func lookAtProcessor() {
    let cores = ProcessorShare.count
    let brand = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)).flatMap(Self.brand)
    findings.append(("processor", "\(brand ?? "unknown"), \(cores) core\(cores == 1 ? "" : "s")"))
    let sets = InstructionSet.supported.map(\.name).joined(separator: ", ")
    let asked =
      ProcessInfo.processInfo.environment["VIDENHANCE_ISA"].map { ", VIDENHANCE_ISA is \($0)" } ?? ""
    let slow = InstructionSet.best == .scalar ? "; correct, but slow" : ""
    findings.append(("kernels", "\(InstructionSet.best.name) (of \(sets)\(asked))\(slow)"))
  }

  /// Returns the processor's name from the text of /proc/cpuinfo; nil on arm64, where it is absent.
  static func brand(_ text: String) -> String? {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2, ["model name", "Model", "Hardware"].contains(parts[0]), !parts[1].isEmpty {
        return parts[1]
      }
    }
    return nil
  }

  mutating func lookAtLibraries(_ libraries: [LibavBuild.Library]) {
    findings.append(("FFmpeg", LibavBuild.version))
    for library in libraries {
      let version = library.version.map(String.init).joined(separator: ".")
      findings.append((library.name, version + (library.isRecent ? "" : ", too old")))
      if !library.isRecent {
        missing.append(
          Missing(
            what: "\(library.name) of FFmpeg 5.1 or later", remedy: "apt package \(Self.package(library))",
            isNeeded: true))
      }
    }
    findings.append(("oneDNN", oneDNNVersion))
  }

  mutating func lookAtEncoders(isThere: (String) -> Bool) {
    let package = LibavBuild.libraries.first { $0.name == "libavcodec" }.map(Self.package) ?? "libavcodec"
    for (index, (name, use)) in Self.encoders.enumerated() {
      let found = isThere(name)
      findings.append((name, (found ? "yes" : "no") + " (\(use))"))
      if !found {
        missing.append(
          Missing(
            what: "encoder \(name)", remedy: "apt package \(package), as Debian builds it",
            isNeeded: index == 0))
      }
    }
  }

  /// Returns Debian's package name of a library, which contains the major version.
  private static func package(_ library: LibavBuild.Library) -> String {
    "\(library.name)\(library.version[0])"
  }

  private mutating func lookAtModels() {
    var folder: String?
    for family in ShippedModel.families {
      var found: [String] = []
      var absent: [String] = []
      for model in ShippedModel.all where model.family == family {
        guard let path = model.path else {
          absent.append("\(model.bits.rawValue)")
          if model == ShippedModel.usual { addModel(model.name, "is missing", isNeeded: true) }
          continue
        }
        folder = folder ?? URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
          _ = try ModelDescription(path: path)
          found.append("\(model.bits.rawValue)")
        } catch {
          addModel(model.name, "is damaged", isNeeded: model == ShippedModel.usual)
        }
      }
      let text = found.isEmpty ? "none" : "\(found.joined(separator: ", ")) bits"
      findings.append(
        (family, text + (absent.isEmpty || found.isEmpty ? "" : "; not \(absent.joined(separator: ", "))")))
      if found.isEmpty, !missing.contains(where: { $0.what.hasPrefix("model \(family)") }) {
        addModel(family, "is missing", isNeeded: false)
      }
    }
    findings.append(("models in", folder ?? "no folder"))
  }

  private mutating func addModel(_ name: String, _ what: String, isNeeded: Bool) {
    missing.append(
      Missing(
        what: "model \(name) \(what)",
        remedy:
          "comes with the program: install it again; 'videnhance train' makes new ones",
        isNeeded: isNeeded))
  }

  /// The findings, followed by the missing components.
  var lines: [String] {
    let width = (findings.map(\.name.count).max() ?? 0) + 2
    var lines = findings.map { $0.name + String(repeating: " ", count: width - $0.name.count) + $0.value }
    lines.append("")
    if missing.isEmpty { lines.append("nothing is missing") }
    for entry in missing {
      lines.append("\(entry.isNeeded ? "needed" : "optional"): \(entry.what) (\(entry.remedy))")
    }
    return lines
  }
}
