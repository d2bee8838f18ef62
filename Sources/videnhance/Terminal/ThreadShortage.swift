// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
  import Glibc

  /// Ends a process that waits for threads which it will never get.
  ///
  /// libdispatch begins the threads that tasks run on. Where the system refuses, for want of memory or by a limit, it
  /// sleeps and tries again, without end, and nobody can tell it otherwise.
  enum ThreadShortage {
    private static let interval: Int = 2
    /// Nanoseconds of computing in an interval from which on the process is at work.
    private static let least: Int64 = 20_000_000

    /// Watches from now on, in a thread of its own that is begun while there is memory.
    static func watch() {
      let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
      defer { attributes.deallocate() }
      pthread_attr_init(attributes)
      pthread_attr_setstacksize(attributes, 256 << 10)
      pthread_attr_setdetachstate(attributes, Int32(PTHREAD_CREATE_DETACHED))
      var thread = pthread_t()
      let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
        ThreadShortage.wait()
      }
      if pthread_create(&thread, attributes, body, nil) != 0 { giveUp() }
      pthread_attr_destroy(attributes)
    }

    private static func wait() -> Never {
      var (failures, before) = (0, computed())
      while true {
        sleep(UInt32(interval))
        let now = computed()
        // Who computes, or can have a thread, is not stuck for want of one.
        failures = now - before >= least || canBegin() ? 0 : failures + 1
        before = now
        if failures >= 3 { giveUp() }
      }
    }

    /// Nanoseconds that the process has computed.
    private static func computed() -> Int64 {
      var time = timespec()
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
      return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private static func canBegin() -> Bool {
      var thread = pthread_t()
      guard pthread_create(&thread, nil, { _ in nil }, nil) == 0 else { return false }
      pthread_join(thread, nil)
      return true
    }

    private static func giveUp() -> Never {
      Collapse.end("videnhance: stopped, as there is no memory left for threads\n")
    }
  }
#endif
