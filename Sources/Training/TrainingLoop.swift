// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The state of a run.
package struct TrainingReport: Sendable {
  /// Steps done and minutes trained, over all sessions of the run.
  package var step: Int
  /// See `step`.
  package var minutes: Double
  /// Running mean of the loss, in levels of 255.
  package var loss: Double
  /// Current learning rate.
  package var rate: Float
  /// Steps per second and billions of multiply-accumulates per second since the last report.
  package var stepsPerSecond: Double
  /// See `stepsPerSecond`.
  package var gigaOperationsPerSecond: Double
  /// Validation, when this report has one.
  package var validation: ValidationResult?
}

/// Runs training steps until the end of the run, with reports, validations and checkpoints in between.
package struct TrainingLoop {
  /// Length of the run in minutes, including resumed parts.
  package var minutes: Double
  /// Length in steps instead; nil uses minutes.
  package var steps: Int?
  /// Seconds trained in earlier sessions.
  package var secondsBefore: Double
  /// Multiply-accumulates per step.
  package var operationsPerStep: Double
  /// Intervals in seconds.
  package var reportSeconds = 15.0
  /// See `reportSeconds`.
  package var validationSeconds = 600.0
  /// See `reportSeconds`.
  package var checkpointSeconds = 240.0

  /// Creates a loop.
  package init(minutes: Double, steps: Int? = nil, secondsBefore: Double, operationsPerStep: Double) {
    self.minutes = minutes
    self.steps = steps
    self.secondsBefore = secondsBefore
    self.operationsPerStep = operationsPerStep
  }

  /// The callbacks of a run.
  package struct Actions {
    /// Runs one step at `progress` (0...1); returns its loss (1 = full range) and learning rate.
    package var advance: (_ progress: Double) throws -> (loss: Float, rate: Float)
    /// Steps done so far.
    package var stepCount: () -> Int
    /// Measures quality; nil if there is no validation data.
    package var validate: () throws -> ValidationResult?
    /// Writes a checkpoint.
    package var save: (_ seconds: Double) throws -> Void
    /// Ends the run early if true.
    package var isCancelled: () -> Bool
    /// Called with the state of the run.
    package var report: (TrainingReport) throws -> Void

    /// Creates the set of callbacks.
    package init(
      advance: @escaping (Double) throws -> (loss: Float, rate: Float), stepCount: @escaping () -> Int,
      validate: @escaping () throws -> ValidationResult?, save: @escaping (Double) throws -> Void,
      isCancelled: @escaping () -> Bool, report: @escaping (TrainingReport) throws -> Void
    ) {
      self.advance = advance
      self.stepCount = stepCount
      self.validate = validate
      self.save = save
      self.isCancelled = isCancelled
      self.report = report
    }
  }

  /// Runs; writes a checkpoint and a report with a validation at the end, even if cancelled.
  package func run(_ actions: Actions) throws {
    let began = Date()
    var (lastReport, lastValidation, lastCheckpoint) = (began, began, began)
    var stepsAtReport = actions.stepCount()
    var (elapsed, rate) = (secondsBefore, Float(0))
    var mean: Double?
    func report(validates: Bool) throws {
      let steps = Double(actions.stepCount() - stepsAtReport)
      let perSecond = steps / max(1e-3, Date().timeIntervalSince(lastReport))
      try actions.report(
        TrainingReport(
          step: actions.stepCount(), minutes: elapsed / 60, loss: (mean ?? 0) * 255, rate: rate,
          stepsPerSecond: perSecond, gigaOperationsPerSecond: perSecond * operationsPerStep / 1e9,
          validation: validates ? try actions.validate() : nil))
      (lastReport, stepsAtReport) = (Date(), actions.stepCount())
      if validates { lastValidation = Date() }
    }
    func progress() -> Double {
      steps.map { Double(actions.stepCount()) / Double($0) } ?? elapsed / (minutes * 60)
    }
    while progress() < 1 && !actions.isCancelled() {
      let (value, stepRate) = try actions.advance(progress())
      rate = stepRate
      mean = mean.map { 0.99 * $0 + 0.01 * Double(value) } ?? Double(value)
      let now = Date()
      elapsed = secondsBefore + now.timeIntervalSince(began)
      if now.timeIntervalSince(lastReport) >= reportSeconds {
        try report(validates: now.timeIntervalSince(lastValidation) >= validationSeconds)
      }
      if now.timeIntervalSince(lastCheckpoint) >= checkpointSeconds {
        try actions.save(elapsed)
        lastCheckpoint = now
      }
    }
    try actions.save(elapsed)
    try report(validates: true)
  }
}
