// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Returns large freed blocks, such as pictures, to the system.
package enum LargeBlocks {
  /// Makes the allocator return blocks of 256 KB and more to the system when they are freed, for the whole process; call it at
  /// program start. By default, glibc raises this threshold when the first such block is freed and keeps later ones in
  /// fragmented heaps, which costs 20 MB at 1080p. Does nothing with other C libraries.
  package static func returnWhenFreed() { cffmpeg_return_large_blocks(1 << 18) }
}
