// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// How the files of a folder are divided into shares.
package enum ShareBalance: String, CaseIterable, Sendable {
  /// By a hash of the name: a file keeps its share whatever else comes and goes.
  case name
  /// So that shares have about as many bytes.
  case size
  /// So that shares last about as long, which every machine opens all files for.
  case duration
}

extension Shard {
  /// The files that belong to the share; the same on all machines that see the same folder.
  func files(of all: [BatchFile], by balance: ShareBalance) -> [BatchFile] {
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

  private func balanced(_ all: [BatchFile], weight: (BatchFile) -> Int) -> [BatchFile] {
    let shares = Self.shares(of: all.map { (path: $0.path, weight: weight($0)) }, count: count)
    return zip(all, shares).filter { $0.1 == index }.map(\.0)
  }

  /// A share for each file: the heaviest that is left goes to the share that has least.
  package static func shares(of files: [(path: String, weight: Int)], count: Int) -> [Int] {
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
