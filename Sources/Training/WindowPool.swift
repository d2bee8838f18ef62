// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
package import Tensors

/// A pool of training windows from which batches are drawn. A few windows are replaced at every step: creating one costs
/// more than a tenth of a step's arithmetic, and windows can be reused several times.
package final class WindowPool {
  /// The windows in the pool.
  package private(set) var windows: [TrainingWindow] = []
  /// The maximum number of windows.
  package let capacity: Int

  /// Creates an empty pool.
  package init(capacity: Int) { self.capacity = capacity }

  /// Adds windows, replacing random ones once the pool is full.
  package func add(_ fresh: [TrainingWindow], using random: inout SplitMix64) {
    for window in fresh {
      if windows.count < capacity {
        windows.append(window)
      } else {
        windows[random.index(capacity)] = window
      }
    }
  }

  /// Input tensors by slot, and the target tensor of windows. Targets are in units of the full range.
  package static func batch(_ windows: [TrainingWindow]) -> (frames: [FloatTensor], target: FloatTensor) {
    let (height, width) = (windows[0].height, windows[0].width)
    let points = height * width
    let slots = windows[0].frames.count
    let frames = (0..<slots).map { slot in
      let channels = windows[0].frames[slot].count / points
      let tensor = FloatTensor(batch: windows.count, height: height, width: width, channels: channels)
      for (index, window) in windows.enumerated() {
        let to = tensor.pointer + index * points * channels
        window.frames[slot].withUnsafeBufferPointer { from in
          for i in 0..<from.count { to[i] = PlanarFrame.centred(from[i]) }
        }
      }
      return tensor
    }
    let channels = windows[0].target.count / points
    let target = FloatTensor(batch: windows.count, height: height, width: width, channels: channels)
    for (index, window) in windows.enumerated() {
      let to = target.pointer + index * points * channels
      window.target.withUnsafeBufferPointer { from in
        for i in 0..<from.count { to[i] = Float(from[i]) * (1 / ResidualScale.unitsPerRange) }
      }
    }
    return (frames, target)
  }
}
