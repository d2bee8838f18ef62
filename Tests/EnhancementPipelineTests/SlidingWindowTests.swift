// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Testing

@Suite struct SlidingWindowTests {
  /// Returns the windows of frames 0..<count, with scenes starting at `cuts`.
  static func windows(_ count: Int, length: Int, cuts: [Int] = []) -> [[Int]] {
    var sliding = SlidingWindow<Int>(length: length)
    var result: [[Int]] = []
    for frame in 0..<count { result += sliding.push(frame, startsScene: cuts.contains(frame)).map(\.frames) }
    return result + sliding.finish().map(\.frames)
  }

  @Test func usesOppositeFramesAtTheEdges() {
    #expect(Self.windows(4, length: 3) == [[1, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 2]])
    #expect(
      Self.windows(4, length: 5) == [[2, 1, 0, 1, 2], [3, 0, 1, 2, 3], [0, 1, 2, 3, 0], [1, 2, 3, 2, 1]])
    #expect(Self.windows(2, length: 7) == [[1, 1, 1, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0]])
    #expect(Self.windows(3, length: 1) == [[0], [1], [2]])
    #expect(Self.windows(1, length: 5) == [[0, 0, 0, 0, 0]])
    #expect(Self.windows(0, length: 5) == [])
  }

  @Test func repeatsEdgesOnRequest() {
    var sliding = SlidingWindow<Int>(length: 3, edge: .repeated)
    let windows = (0..<3).flatMap { sliding.push($0) } + sliding.finish()
    #expect(windows.map(\.frames) == [[0, 0, 1], [0, 1, 2], [1, 2, 2]])
  }

  @Test func windowOfTwoIsAFrameAndTheNext() {
    var sliding = SlidingWindow<Int>(length: 2, edge: .repeated)
    var windows: [SlidingWindow<Int>.Window] = []
    for frame in 0..<5 { windows += sliding.push(frame, startsScene: frame == 2) }
    windows += sliding.finish()
    #expect(windows.map(\.frames) == [[0, 1], [1, 1], [2, 3], [3, 4], [4, 4]])
    #expect(windows.map(\.center) == Array(0..<5))
  }

  @Test func endsAtCuts() {
    #expect(
      Self.windows(5, length: 3, cuts: [2, 4]) == [
        [1, 0, 1], [0, 1, 0], [3, 2, 3], [2, 3, 2], [4, 4, 4],
      ])
    // A cut at the first frame has no effect.
    #expect(Self.windows(3, length: 3, cuts: [0]) == Self.windows(3, length: 3))
  }

  /// The definition: the frame at each offset, or the one opposite, or the same for one frame nearer to the
  /// centre, and so on.
  @Test(arguments: [1, 3, 5, 7], [1, 2, 3, 6, 11, 30])
  func agreesWithTheDefinition(length: Int, count: Int) {
    for _ in 0..<20 {
      let cuts = (0..<count).filter { _ in Int.random(in: 0..<4) == 0 }
      let expected = (0..<count).map { center in
        let start = cuts.last { $0 <= center } ?? 0
        let end = (cuts.first { $0 > center } ?? count) - 1
        let scene = start...end
        return (-(length / 2)...length / 2).map { (offset: Int) -> Int in
          for distance in stride(from: abs(offset), to: 0, by: -1) {
            let sign = offset.signum()
            for place in [center + sign * distance, center - sign * distance] where scene.contains(place) {
              return place
            }
          }
          return center
        }
      }
      #expect(Self.windows(count, length: length, cuts: cuts) == expected, "cuts \(cuts)")
    }
  }

  @Test func centerIsTheMiddle() {
    var sliding = SlidingWindow<Int>(length: 5)
    let windows = (0..<9).flatMap { sliding.push($0) } + sliding.finish()
    #expect(windows.map(\.center) == Array(0..<9))
  }
}
