// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Memory of pictures, of this package and of libraries.
public enum LargeBlocks {
  /// Has blocks of 256 KB and more go back to the system when they are freed, for the whole process; a program calls it at its
  /// start. By itself glibc raises that limit with the first such block freed and keeps those that follow in heaps with holes,
  /// which at 1080p costs 20 MB. Other C libraries have no such habit, and nothing happens.
  public static func returnWhenFreed() { cffmpeg_return_large_blocks(1 << 18) }
}
