// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Testing

@Suite struct BoundedChannelTests {
  struct Failure: Error {}

  /// Returns all elements of a channel.
  static func drain(_ channel: BoundedChannel<Int>) async throws -> [Int] {
    var result: [Int] = []
    while let element = try await channel.next() {
      result.append(element)
      if element % 7 == 0 { await Task.yield() }
    }
    return result
  }

  @Test(arguments: [1, 2, 5]) func keepsOrderAndCapacity(capacity: Int) async throws {
    let channel = BoundedChannel<Int>(capacity: capacity)
    let sender = Task {
      for element in 0..<2000 {
        try await channel.send(element)
        if element % 5 == 0 { await Task.yield() }
      }
      channel.finish()
    }
    #expect(try await Self.drain(channel) == Array(0..<2000))
    try await sender.value
    #expect(channel.peak <= capacity)
    #expect(try await channel.next() == nil)
  }

  @Test func senderWaitsForRoom() async throws {
    let channel = BoundedChannel<Int>(capacity: 3)
    let sender = Task {
      for element in 0..<10 { try await channel.send(element) }
      channel.finish()
    }
    try await Task.sleep(for: .milliseconds(50))
    #expect(channel.peak == 3)
    #expect(try await Self.drain(channel) == Array(0..<10))
    try await sender.value
    #expect(channel.peak == 3)
  }

  @Test func countsCosts() async throws {
    let channel = BoundedChannel<Int>(capacity: 10) { $0 }
    let sender = Task {
      for element in [4, 5, 1, 10, 3, 7, 2] { try await channel.send(element) }
      channel.finish()
    }
    try await Task.sleep(for: .milliseconds(50))
    #expect(channel.peak == 10)
    #expect(try await Self.drain(channel) == [4, 5, 1, 10, 3, 7, 2])
    try await sender.value
    #expect(channel.peak == 10)
  }

  @Test func cancellationWakesASender() async {
    for round in 0..<200 {
      let channel = BoundedChannel<Int>(capacity: 1)
      let sender = Task { for element in 0..<5 { try await channel.send(element) } }
      for _ in 0..<round % 4 { await Task.yield() }
      sender.cancel()
      await #expect(throws: CancellationError.self) { try await sender.value }
    }
  }

  @Test func cancellationWakesATaker() async {
    for round in 0..<200 {
      let channel = BoundedChannel<Int>(capacity: 1)
      let taker = Task { try await channel.next() }
      for _ in 0..<round % 4 { await Task.yield() }
      taker.cancel()
      await #expect(throws: CancellationError.self) { _ = try await taker.value }
    }
  }

  @Test func failureOfOneStageEndsTheOthers() async {
    for failing in 0..<3 {
      for round in 0..<67 {
        let (first, second) = (BoundedChannel<Int>(capacity: 2), BoundedChannel<Int>(capacity: 1))
        @Sendable func failIfDue(_ stage: Int, _ count: Int) throws {
          if stage == failing, count == round % 9 { throw Failure() }
        }
        await #expect(throws: Failure.self) {
          try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
              for element in 0... {
                try failIfDue(0, element)
                try await first.send(element)
              }
            }
            group.addTask {
              while let element = try await first.next() {
                try failIfDue(1, element)
                try await second.send(element)
              }
            }
            group.addTask { while let element = try await second.next() { try failIfDue(2, element) } }
            for try await _ in group {}
          }
        }
      }
    }
  }
}
