// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A web server for one file, with the faults of servers and networks.
final class MediaServer: Sendable {
  enum Behaviour: Sendable {
    /// Serves parts, as most servers do.
    case parts
    /// Ignores requests for parts.
    case wholeOnly
    /// Does not announce the length of the file.
    case withoutLength
    /// Serves parts, and closes each connection after a quarter of the file.
    case cutting
    /// Serves nothing beyond two thirds of the file.
    case ending
    /// Has no such file.
    case notFound
    /// Sends the client to a file on its own disk.
    case redirectingToFile
    /// Takes the request and does not answer.
    case silent
    /// Sends half of the file, and nothing more.
    case stalling
  }

  let port: UInt16
  private let descriptor: Int32
  private let log = RequestLog()

  /// The first lines of all requests.
  var requests: [String] { log.lines }

  /// Serves `content` on a free port of this machine.
  init(_ content: Data, _ behaviour: Behaviour) throws {
    #if canImport(Darwin)
      descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #else
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = descriptor
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0
          && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    port = UInt16(bigEndian: address.sin_port)
    let log = log
    Thread.detachNewThread {
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        Thread.detachNewThread {
          let connection = Connection(descriptor: client, content: content, behaviour: behaviour)
          connection.answer(log)
          close(client)
        }
      }
    }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }

  func url(_ name: String) -> String { "http://127.0.0.1:\(port)/\(name)" }
}

private final class RequestLog: Sendable {
  private let entries = Mutex<[String]>([])
  var lines: [String] { entries.withLock { $0 } }
  func add(_ line: String) { entries.withLock { $0.append(line) } }
}

/// A connection to a client, for one request.
private struct Connection {
  let descriptor: Int32
  let content: Data
  let behaviour: MediaServer.Behaviour

  func answer(_ log: RequestLog) {
    let lines = readRequest()
    guard let first = lines.first else { return }
    log.add(first)
    switch behaviour {
    case .notFound: return send(head("404 Not Found", ["Content-Length: 0"]))
    case .redirectingToFile:
      return send(head("302 Found", ["Location: file:///etc/hostname", "Content-Length: 0"]))
    case .silent: return waitForClient()
    default: break
    }
    let range = lines.first { $0.lowercased().hasPrefix("range: bytes=") }
    let start = range.flatMap { Int($0.dropFirst(13).prefix { $0.isNumber }) } ?? 0
    switch behaviour {
    case .wholeOnly: send(head("200 OK", ["Content-Length: \(content.count)"]) + content)
    case .withoutLength: send(head("200 OK", []) + content)
    case .cutting: sendPart(from: start, to: start + content.count / 4)
    case .ending: sendPart(from: start, to: content.count * 2 / 3)
    case .stalling:
      sendPart(from: start, to: content.count / 2)
      waitForClient()
    default: sendPart(from: start, to: content.count)
    }
  }

  /// Announces everything from a byte on, and sends it as far as another one.
  private func sendPart(from start: Int, to end: Int) {
    let start = min(start, content.count)
    let end = min(max(end, start), content.count)
    let fields = [
      "Content-Range: bytes \(start)-\(content.count - 1)/\(content.count)", "Accept-Ranges: bytes",
      "Content-Length: \(content.count - start)",
    ]
    send(head("206 Partial Content", fields) + content[start..<end])
  }

  private func head(_ status: String, _ fields: [String]) -> Data {
    let lines = ["HTTP/1.1 \(status)", "Connection: close"] + fields
    return Data((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }

  private func readRequest() -> [String] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return [] }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
  }

  private func send(_ data: Data) {
    #if canImport(Darwin)
      let flags: Int32 = 0
      var on: Int32 = 1
      setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
    #else
      let flags = Int32(MSG_NOSIGNAL)
    #endif
    var rest = [UInt8](data)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        #if canImport(Darwin)
          Darwin.send(descriptor, $0.baseAddress, $0.count, flags)
        #else
          Glibc.send(descriptor, $0.baseAddress, $0.count, flags)
        #endif
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Keeps the connection open until the client closes it.
  private func waitForClient() {
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) > 0 {}
  }
}
