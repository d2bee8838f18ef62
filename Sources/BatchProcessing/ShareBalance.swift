// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// How the files of a folder are divided into shares.
package enum ShareBalance: String, CaseIterable, Sendable {
  /// By a hash of the path: a file's share does not depend on other files.
  case name
  /// By size: shares have about the same number of bytes.
  case size
  /// By duration: shares take about the same time. Every machine opens all files to determine it.
  case duration
}

extension Shard {
  /// Returns the files of the share; the result is the same on all machines with the same folder contents.
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

  /// Returns a share for each file: the largest remaining file goes to the share with the smallest total.
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
