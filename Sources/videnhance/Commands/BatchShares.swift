// SPDX-License-Identifier: Apache-2.0
import BatchProcessing
import ClusterWork

extension Shard {
  /// Resolves `env/n` with the index that an array job gives to this process.
  ///
  /// The number of shares stays n, so resubmitted tasks get the same files as before. Engines count from 0 or
  /// from 1; index n stands for the first share.
  /// - Throws: `BatchError.unclearShare`.
  func resolved(environment: [String: String]) throws(BatchError) -> Shard {
    guard index == Self.open else { return self }
    let found: (index: Int, source: String)?
    do throws(PlanError) {
      found = try IndexList.index(environment: environment)
    } catch {
      throw .unclearShare("\(error)")
    }
    guard let found else {
      throw .unclearShare("--shard env/\(count) needs SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX")
    }
    guard found.index <= count else {
      throw .unclearShare(
        "\(found.source)=\(found.index) is beyond the \(count) shares of --shard env/\(count)")
    }
    return Shard(index: found.index % count, count: count, source: found.source)
  }
}
