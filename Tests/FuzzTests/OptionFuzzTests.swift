// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Tensors
import Testing

@testable import VidenhanceTool

extension FuzzTests {
  /// No command line ends the program but with a message and a code.
  @Suite struct OptionFuzzTests {
    private static let words = [
      "enhance", "batch", "inspect", "doctor", "calibrate", "train", "distill", "bench", "help", "in.mkv",
      "out.mkv",
      "-", "--", "--task", "sr", "denoise,interp,sr", "interp", "--scale", "4", "--noise", "auto", "12.5",
      "--factor",
      "--fps", "60000/1001", "59.94", "--bits", "2", "32", "--model", "fast", "--model-file", "--threads",
      "--overwrite",
      "--resume", "--segment-frames", "--quiet", "--verbose", "--start", "--duration", "1:02:03.5", "90s",
      "--stream",
      "--deinterlace", "--codec", "libx265", "--crf", "--preset", "--encoder-option", "a=b", "--container",
      "--jobs",
      "--shard", "1/4", "--pattern", "{name}.mkv", "--minutes", "--data", "--seed",
    ]
    private static let oddities = [
      "", "-1", "0", "1e400", "nan", "inf", "99999999999999999999", "-9223372036854775808", "1/0", "0/0",
      "1//2", ":",
      "::::", "00:00:61", "1:", "=", "==", "a=", "=b", ",", "sr,", ",sr", "sr,sr", "ü", "\u{202e}", "--",
      "{", "{name", "{nam}", "%s%n", String(repeating: "9", count: 400),
    ]

    @Test func anyCommandLineIsParsedOrRefused() {
      var random = SplitMix64(seed: fuzzSeed)
      var mutator = ByteMutator(seed: fuzzSeed + 1, donors: Self.oddities.map { Array($0.utf8) })
      let record = FuzzRecord("arguments.txt")
      var (parsed, refused) = (0, 0)
      for _ in 0..<fuzzCount("FUZZ_OPTIONS", short: 3_000) {
        var line = (0..<(1 + random.index(9))).map { _ in
          let pool = random.chance(0.75) ? Self.words : Self.oddities
          let word = pool[random.index(pool.count)]
          return random.chance(0.1) ? String(decoding: mutator.mutate(Array(word.utf8)), as: UTF8.self) : word
        }
        if random.chance(0.5) { line = ["in.mkv", "out.mkv"] + line }
        record.keep(Array(line.joined(separator: "\n").utf8))
        do {
          _ = try VidenhanceCommand.parseAsRoot(line)
          parsed += 1
        } catch {
          refused += 1
          #expect([0, 1, 64].contains(VidenhanceCommand.exitCode(for: error).rawValue))
        }
      }
      print("command lines: \(refused) refused, \(parsed) parsed")
      #expect(parsed > 0 && refused > 0)
    }
  }
}
