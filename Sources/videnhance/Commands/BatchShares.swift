// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ClusterWork
import VideoIO

/// `--balance`: by what the files of a folder are shared out.
enum ShareBalance: String, CaseIterable, ExpressibleByArgument, Sendable {
  /// By a hash of the name: a file keeps its share whatever else comes and goes.
  case name
  /// So that shares have about as many bytes.
  case size
  /// So that shares last about as long, which every machine opens all files for.
  case duration
}

extension Shard {
  /// The index of a share that `env/n` stands for, before it is known.
  static let open = -1

  /// The share with the index that an array job has given to this process, where it was told as `env/n`.
  ///
  /// The number of shares is that of the option, so tasks that are submitted again take what they took before. Engines count
  /// from 0 or from 1: the last of n is then the first share.
  /// - Throws: `BatchError.unclearShare`.
  func resolved(environment: [String: String]) throws(BatchError) -> Shard {
    guard index == Self.open else { return self }
    let told: (index: Int, source: String)?
    do throws(PlanError) {
      told = try IndexList.index(environment: environment)
    } catch {
      throw .unclearShare("\(error)")
    }
    guard let told else {
      throw .unclearShare("--shard env/\(count) needs SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX")
    }
    guard told.index <= count else {
      throw .unclearShare(
        "\(told.source)=\(told.index) is beyond the \(count) shares of --shard env/\(count)")
    }
    return Shard(index: told.index % count, count: count, source: told.source)
  }

  /// The files that belong to the share; the same on all machines that see the same folder.
  func files(of all: [FolderRun.File], by balance: ShareBalance) -> [FolderRun.File] {
    switch balance {
    case .name: return all.filter { holds($0.path) }
    case .size: return balanced(all) { FileIdentity(path: $0.input)?.size ?? 0 }
    case .duration:
      return balanced(all) { file in
        let seconds = (try? VideoReader(path: file.input, threads: 1))?.info.duration ?? 0
        return seconds.isFinite ? Int(min(max(seconds, 0), 1e9) * 1000) : 0
      }
    }
  }

  private func balanced(_ all: [FolderRun.File], weight: (FolderRun.File) -> Int) -> [FolderRun.File] {
    let shares = Self.shares(of: all.map { (path: $0.path, weight: weight($0)) }, count: count)
    return zip(all, shares).filter { $0.1 == index }.map(\.0)
  }

  /// A share for each file: the heaviest that is left goes to the share that has least.
  static func shares(of files: [(path: String, weight: Int)], count: Int) -> [Int] {
    var loads = [(weight: Int, files: Int)](repeating: (0, 0), count: count)
    var result = [Int](repeating: 0, count: files.count)
    let order = files.indices.sorted {
      (files[$1].weight, files[$0].path) < (files[$0].weight, files[$1].path)
    }
    for file in order {
      let share = loads.indices.min { loads[$0] < loads[$1] } ?? 0
      loads[share].weight += files[file].weight
      loads[share].files += 1
      result[file] = share
    }
    return result
  }
}
