// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
  import Glibc

  /// Ends a process that waits for threads that the system will never create.
  ///
  /// libdispatch creates the threads for tasks. If the system refuses, for lack of memory or because of a limit, it
  /// sleeps and retries forever, which cannot be configured.
  enum ThreadShortage {
    private static let interval: Int = 2
    /// Nanoseconds of processor time in an interval from which on the process counts as working.
    private static let least: Int64 = 20_000_000

    /// Starts watching in a separate thread, which is created while memory is available.
    static func watch() {
      // Not `pthread_attr_t()`: which module that initialiser belongs to depends on what else is imported first.
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
        // A process that computes, or can create a thread, is not stuck.
        failures = now - before >= least || canBegin() ? 0 : failures + 1
        before = now
        if failures >= 3 { giveUp() }
      }
    }

    /// Processor time of the process in nanoseconds.
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
