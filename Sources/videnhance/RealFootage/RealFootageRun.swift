// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import QualityReport
import Training
import Videnhance
import VideoIO

/// Measures all contenders of the tables of real footage.
struct RealFootageRun {
  let clips: [RealClip]
  let bits: [NetworkBits]
  let threads: Int
  /// Whether to measure FFmpeg's filter chains.
  let sweepsFilters: Bool
  let peers: VideoPeers?
  let vmaf: VMAF?
  /// Folder for temporary files.
  let folder: String
  /// Rows from earlier runs.
  var known: RealRowFile
  /// Peers that have failed and are skipped from then on.
  private var failed: Set<String> = []

  init(
    clips: [RealClip], bits: [NetworkBits], threads: Int, sweepsFilters: Bool, peers: VideoPeers?,
    vmaf: VMAF?,
    folder: String, known: RealRowFile
  ) {
    self.clips = clips
    self.bits = bits
    self.threads = threads
    self.sweepsFilters = sweepsFilters
    self.peers = peers
    self.vmaf = vmaf
    self.folder = folder
    self.known = known
  }

  /// Measures a table; calls `show` with its text piece by piece.
  /// - Returns: all rows.
  mutating func measure(_ table: RealTable, show: (String) -> Void) async throws -> [RealRow] {
    let networks = table.networks(bits).filter { network in
      if network.choice.shippedModel.path != nil { return true }
      show(
        "\(network.choice.shippedModel.name) is not shipped: left out of the tables of \(table.rawValue)\n")
      return false
    }
    var rows: [RealRow] = []
    for clip in clips {
      for kind in table.kinds {
        let input = folder + "/\(kind.name).mkv"
        defer { try? FileManager.default.removeItem(atPath: input) }
        try kind.chain.write(clip.frames, factor: table.factor, like: clip.info, to: input)
        let decoded = try RealClip.frames(of: input, threads: threads)
        guard decoded.count == clip.frames.count else {
          throw CompareError(
            detail: "\(clip.name), \(kind.name): \(decoded.count) frames are left of \(clip.frames.count)")
        }
        let work = Work(
          table: table, clip: clip, kind: kind.name, input: input,
          digest: RealClip.digest(decoded) + RealClip.digest(clip.frames))
        let made = try await measure(work, networks)
        show(table.markdown(made))
        rows += made
      }
    }
    show(table.summary(rows))
    return rows
  }

  /// Measures one clip of one kind.
  private struct Work {
    let table: RealTable
    let clip: RealClip
    let kind: String
    let input: String
    let digest: String

    func row(_ name: String, _ role: RealRow.Role, _ settings: String) -> RealRow {
      RealRow(
        table: table.rawValue, clip: clip.name, kind: kind, contender: name, role: role, settings: settings,
        frames: clip.frames.count, input: digest, cpuSecondsPerFrame: 0)
    }
  }

  private mutating func measure(
    _ work: Work, _ networks: [(name: String, choice: NetworkChoice)]
  ) async throws -> [RealRow] {
    var rows: [RealRow] = []
    for filter in [work.table.ground] + work.table.filters {
      let row = work.row(filter.name, .filter, filter.filter)
      rows.append(try await kept(row) { run, row in try await run.filtered(row, work, judging: true) })
    }
    if sweepsFilters {
      let row = work.row(RealTable.sweepName, .filter, "")
      rows.append(try await kept(row) { run, row in try await run.bestChain(row, work) })
    }
    rows += try await peerRows(work)
    for network in networks {
      let contender = Contender(name: network.name, source: .network([.network(network.choice)]))
      var row = work.row(network.name, .network, network.choice.shippedModel.name)
      try await run(contender, work, into: &row, judging: true)
      rows.append(row)
    }
    return rows
  }

  // MARK: - Filters

  /// A cached row, or a new one, which is cached.
  private mutating func kept(
    _ row: RealRow, make: (RealFootageRun, RealRow) async throws -> RealRow
  ) async throws -> RealRow {
    if let old = known.rows.first(where: { $0.isSameWork(as: row) }), vmaf == nil || old.vmafNEG != nil {
      return old
    }
    let made = try await make(self, row)
    try known.keep(made)
    return made
  }

  private func filtered(_ row: RealRow, _ work: Work, judging: Bool) async throws -> RealRow {
    var row = row
    let contender = Contender(name: row.contender, source: .filter(row.settings))
    try await run(contender, work, into: &row, judging: judging)
    return row
  }

  private func bestChain(_ row: RealRow, _ work: Work) async throws -> RealRow {
    var best: RealRow?
    for chain in work.table.sweep {
      try Task.checkCancellation()
      var candidate = row
      candidate.settings = chain
      do {
        let made = try await filtered(candidate, work, judging: false)
        if made.psnr ?? 0 > best?.psnr ?? -1 { best = made }
      } catch VideoIOError.cannotFilter {
        continue
      }
    }
    guard let best else { throw CompareError(detail: "this FFmpeg has none of the filters of the sweep") }
    return try await filtered(best, work, judging: true)
  }

  // MARK: - Peers

  private mutating func peerRows(_ work: Work) async throws -> [RealRow] {
    var rows: [RealRow] = []
    guard let peers else {
      // Without a Python interpreter, use the results of earlier runs.
      for old in known.rows where old.role == .peer && old.isSameWork(as: work.row(old.contender, .peer, ""))
      {
        rows.append(old)
      }
      return rows
    }
    for name in try await peers.names(of: work.table.task, folder: folder) where !failed.contains(name) {
      do {
        let row = work.row(name, .peer, "")
        rows.append(
          try await kept(row) { run, row in
            let made = try await peers.run(
              name, on: work.input, isSpoiled: work.kind != "clean", level: 0, folder: run.folder)
            var row = row
            row.settings = made.settings
            try run.judge(try RealClip.frames(of: made.path, threads: run.threads), work, into: &row)
            row.cpuSecondsPerFrame = made.secondsPerFrame
            row.vmafNEG = try await run.vmaf?.negScore(
              of: made.path, reference: work.clip.path, folder: run.folder)
            return row
          })
      } catch let error as OtherProgramError {
        failed.insert(name)
        Console.warning("\(name) is left out: \(error.detail)")
      }
    }
    return rows
  }

  // MARK: - Figures

  private func run(_ contender: Contender, _ work: Work, into row: inout RealRow, judging: Bool) async throws
  {
    var frames: [VideoFrame] = []
    let start = ProcessorTime.seconds
    try await contender.forEachFrame(of: work.input, threads: threads) { frame, _ in
      frames.append(frame)
      return true
    }
    row.cpuSecondsPerFrame = (ProcessorTime.seconds - start) / Double(max(1, frames.count))
    try judge(frames, work, into: &row)
    guard judging, let vmaf else { return }
    let path = folder + "/made.mkv"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try RealClip.write(frames, like: work.clip.info, to: path)
    row.vmafNEG = try await vmaf.negScore(of: path, reference: work.clip.path, folder: folder)
  }

  /// Frames are paired with the ground truth in order.
  private func judge(_ frames: [VideoFrame], _ work: Work, into row: inout RealRow) throws {
    guard frames.count == work.clip.frames.count else {
      throw CompareError(
        detail:
          "\(row.contender) made \(frames.count) frames of \(work.clip.frames.count) of \(work.clip.name)")
    }
    var meter = QualityMeter()
    for (frame, truth) in zip(frames, work.clip.frames) { try meter.measure(frame, reference: truth) }
    row.psnr = meter.psnr.flatMap { $0.isFinite ? $0 : nil }
    (row.ssim, row.flicker) = (meter.ssim, meter.flicker)
  }
}
