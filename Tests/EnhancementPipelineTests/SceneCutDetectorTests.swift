// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import TestSupport
import Testing

@Suite struct SceneCutDetectorTests {
  /// Returns the detected first frames of scenes.
  static func cuts(_ path: String) throws -> [Int] {
    var detector = SceneCutDetector()
    let decisions = try readFrames(path).compactMap { detector.push(PlanarFrame($0)) } + detector.finish()
    return decisions.indices.filter { decisions[$0] }
  }

  /// Moving sources of 10 frames each, very different from each other. The colours of the gradient are given:
  /// FFmpeg draws others at random, in spite of a seed.
  static let scenes = [
    "testsrc2=size=320x180:rate=25", "mandelbrot=size=320x180:rate=25:start_scale=0.3",
    "gradients=size=320x180:rate=25:speed=0.05:c0=red:c1=blue:x0=0:y0=0:x1=319:y1=179",
    "smptehdbars=size=320x180:rate=25",
    "sierpinski=size=320x180:rate=25:seed=3", "testsrc=size=320x180:rate=25",
  ]

  @Test func findsTheCutsOfJoinedClips() throws {
    let bench = try Workbench()
    let inputs = Self.scenes.map { "-f lavfi -i \($0)" }.joined(separator: " ")
    let parts = Self.scenes.indices.map { "[\($0)]trim=end_frame=10,setsar=1,format=yuv420p[p\($0)];" }
      .joined()
    let joined = Self.scenes.indices.map { "[p\($0)]" }.joined()
    let path = try bench.ffmpeg(
      "\(inputs) -filter_complex \(parts)\(joined)concat=n=\(Self.scenes.count) -c:v ffv1", "joined.mkv")
    #expect(try Self.cuts(path) == [10, 20, 30, 40, 50])
  }

  @Test func findsConsecutiveCuts() throws {
    let bench = try Workbench()
    let path = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i mandelbrot=size=320x180:rate=25 -filter_complex "
        + "[0]trim=end_frame=4,setsar=1,format=yuv420p[a];[1]trim=end_frame=3,setsar=1,format=yuv420p[b];"
        + "[a][b]concat=n=2 -c:v ffv1", "short.mkv")
    #expect(try Self.cuts(path) == [4])
  }

  /// Pictures seen through a moving hole, faster and faster; fading out and in; flashing; shown twice each;
  /// dissolving into another.
  @Test(arguments: [
    "crop=320:180:x=n*2:y=0", "crop=320:180:x=n*n/4:y=n", "crop=320:180:x=n*24:y=0",
    "crop=320:180,fade=out:0:12,fade=in:13:12", "crop=320:180,fade=out:5:6:color=white",
    "crop=320:180,lutyuv=y=val,eq=brightness=0.6*eq(n\\,12):eval=frame",
    "crop=320:180:x=floor(n/2)*16:y=0", "crop=320:180:x=if(gt(n\\,10)\\,(n-10)*20\\,0):y=0",
    "zoompan=z=1+0.03*in:d=1:s=320x180:fps=25",
  ])
  func doesNotFireWithoutACut(filter: String) throws {
    let bench = try Workbench()
    let path = try bench.ffmpeg(
      "-f lavfi -i mandelbrot=size=1280x720:rate=25:start_scale=1:end_scale=0.99 -vf \(filter),format=yuv420p "
        + "-frames:v 26 -c:v ffv1", "smooth.mkv")
    #expect(try Self.cuts(path) == [])
  }

  @Test func doesNotFireOnADissolve() throws {
    let bench = try Workbench()
    let path = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -f lavfi -i mandelbrot=size=320x180:rate=25 -filter_complex "
        + "[0]setsar=1,format=yuv420p[a];[1]trim=end_frame=25,setsar=1,format=yuv420p[b];"
        + "[a][b]xfade=duration=0.4:offset=0.4 -c:v ffv1", "dissolve.mkv")
    #expect(try Self.cuts(path) == [])
  }

  @Test(arguments: [(1, 1), (2, 2), (600, 2), (2, 600)]) func takesAnySize(width: Int, height: Int) {
    var detector = SceneCutDetector()
    var decisions: [Bool] = []
    for level in [UInt8(0), 0, 0, 200, 200, 200] {
      let frame = PlanarFrame(width: (width + 1) / 2 * 2, height: (height + 1) / 2 * 2)
      frame.luma.update(repeating: level, count: frame.width * frame.height)
      if let decision = detector.push(frame) { decisions.append(decision) }
    }
    #expect(decisions + detector.finish() == [false, false, false, true, false, false])
  }

  /// Every frame gets a decision, even in short streams.
  @Test(arguments: 0...7) func decidesOncePerFrame(count: Int) {
    var detector = SceneCutDetector()
    var decisions: [Bool] = []
    for _ in 0..<count {
      let frame = PlanarFrame(width: 2, height: 2)
      frame.luma.update(repeating: 9, count: 4)
      if let decision = detector.push(frame) { decisions.append(decision) }
    }
    #expect(decisions.count == max(0, count - SceneCutDetector.lookAhead))
    #expect(decisions + detector.finish() == [Bool](repeating: false, count: count))
  }
}
