// SPDX-License-Identifier: Apache-2.0

/// A missing number in a sequence of pictures. FFmpeg ends there without an error.
struct PictureGap: CustomStringConvertible {
  /// The path of the first missing picture.
  let missing: String
  /// How many pictures follow the gap.
  let count: Int

  /// Searches a sequence, such as `frames/%05d.png`; nil if no number is missing.
  static func first(in path: String) -> PictureGap? {
    let numbers = PictureSequence.numbers(path)
    guard let start = numbers.first else { return nil }
    let count = numbers.enumerated().prefix { $0.element == start + $0.offset }.count
    if count == numbers.count { return nil }
    return PictureGap(missing: PictureSequence.name(path, start + count), count: numbers.count - count)
  }

  var description: String {
    "\(count) \(count == 1 ? "picture" : "pictures") behind a gap: \(missing) does not exist"
  }
}
