// SPDX-License-Identifier: Apache-2.0
import BatchProcessing
import ClusterWork

extension Shard {
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
}
