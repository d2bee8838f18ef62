// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Tensors
import Testing

@testable import VidenhanceTool

extension FuzzTests {
  /// Tests that every command line either works or ends with a message and an exit code.
  @Suite struct OptionFuzzTests {
    private static let values = [
      "sr", "denoise", "interp", "denoise,interp,sr", "2", "4", "32", "8,4", "auto", "12.5", "60000/1001",
      "59.94",
      "fast", "balanced", "1:02:03.5", "90s", "libx265", "a=b", "mkv", "1/4", "{name}.mkv", "in.mkv",
      "out.mkv", "json",
      "bicubic,hqdn3d", "bmfq", "on", "avx2", "-",
    ]
    private static let oddities = [
      "", "-1", "0", "1e400", "nan", "inf", "99999999999999999999", "-9223372036854775808", "1/0", "0/0",
      "1//2", ":",
      "::::", "00:00:61", "1:", "=", "==", "a=", "=b", ",", "sr,", ",sr", "sr,sr", "ü", "\u{202e}", "--",
      "{", "{name", "{nam}", "%s%n", String(repeating: "9", count: 400),
    ]

    /// All commands with the options in their help.
    private static let commands: [(names: [String], options: [String])] = {
      func visit(_ command: any ParsableCommand.Type, _ names: [String])
        -> [(names: [String], options: [String])]
      {
        let help = VidenhanceCommand.helpMessage(for: command)
        let options = Set(help.matches(of: /--?[a-z][a-z-]*/).map { String($0.0) }).sorted()
        return [(names, options)]
          + command.configuration.subcommands.flatMap { visit($0, names + [$0._commandName]) }
      }
      return visit(VidenhanceCommand.self, [])
    }()

    @Test func anyCommandLineIsParsedOrRefused() {
      var random = SplitMix64(seed: fuzzSeed)
      var mutator = ByteMutator(seed: fuzzSeed + 1, donors: Self.oddities.map { Array($0.utf8) })
      let record = FuzzRecord("arguments.txt")
      var parsed: [String: Int] = [:]
      var (refused, tried) = (0, Set<String>())
      let count = fuzzCount("FUZZ_OPTIONS", short: 3_000)
      for index in 0..<count {
        let (names, options) = Self.commands[index % Self.commands.count]
        var line = random.chance(0.5) ? ["in.mkv", "out.mkv"] : []
        for _ in 0..<random.index(6) {
          let option = options[random.index(options.count)]
          tried.insert((names + [option]).joined(separator: " "))
          line.append(option)
          let pool = random.chance(0.75) ? Self.values : Self.oddities
          if random.chance(0.8) { line.append(pool[random.index(pool.count)]) }
        }
        line = (names + line).map { word in
          random.chance(0.05) ? String(decoding: mutator.mutate(Array(word.utf8)), as: UTF8.self) : word
        }
        record.keep(Array(line.joined(separator: "\n").utf8))
        do {
          let command = try VidenhanceCommand.parseAsRoot(line)
          parsed["\(type(of: command))", default: 0] += 1
        } catch {
          refused += 1
          #expect([0, 1, 64].contains(VidenhanceCommand.exitCode(for: error).rawValue))
        }
      }
      let all = Self.commands.reduce(0) { $0 + $1.options.count }
      print("command lines: \(refused) refused, parsed \(parsed), \(tried.count) of \(all) options")
      // Even few inputs cover most options; the long form covers all of them.
      #expect(refused > 0 && parsed.count > 5 && tried.count > (count < 20_000 ? all * 3 / 4 : all - 1))
    }
  }
}
