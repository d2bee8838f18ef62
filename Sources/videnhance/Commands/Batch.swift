// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing

/// Enhances the videos of a folder.
struct Batch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enhance all videos below a folder.",
    discussion: """
      Examples:
        videnhance batch footage enhanced --jobs 2 --journal journal.jsonl
        videnhance batch footage enhanced --task denoise --skip-existing
        videnhance batch footage enhanced --pattern '{name}-{task}-{bits}bit.mkv'
        videnhance batch footage enhanced --shard 2/8
        videnhance batch footage enhanced --shard env/8 --balance size

      Files are recognized by their content, and the tree of folders is kept. Hidden files, and files whose names are not \
      those of media (.txt, .json, pictures and the like), are skipped. A file that fails does not stop the others.

      Without --shard, an array job of Slurm (SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT) or an indexed job of Kubernetes \
      (JOB_COMPLETION_INDEX, and JOB_COMPLETION_COUNT, which its description must set) processes its share; --shard 1/1 processes \
      all. With --shard env/8 the number of shares is fixed, so that single tasks can be submitted again.

      Exit codes: 0 none failed, 1 nothing could be begun, 2 some failed, 64 wrong usage, 130 interrupted.
      """)

  @Argument(help: ArgumentHelp("The folder to read.", valueName: "in-dir"), completion: .directory) var input:
    String
  @Argument(
    help: ArgumentHelp("The output folder; created if missing.", valueName: "out-dir"),
    completion: .directory)
  var output: String
  @OptionGroup(title: "Folder options") var folder: FolderOptions
  @OptionGroup(title: "Source options") var source: SourceOptions
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @OptionGroup(title: "Encoder options") var encoder: EncoderOptions
  @OptionGroup(title: "Work options") var work: WorkOptions

  func validate() throws { try folder.validate(with: work) }

  func run() async throws {
    work.limitInstructionSet()
    try await FolderReport.run(
      from: input, to: output, folder: folder, source: source, network: network, encoder: encoder, work: work)
  }
}

/// Options for processing a folder.
struct FolderOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Pattern of output names, made of {name}, {ext}, {task} and {bits} (default: {name}.{ext}). The extension selects the container; an unknown one becomes mkv.",
      valueName: "name"))
  var pattern: NamePattern?

  @Flag(help: "Skip files whose output exists.")
  var skipExisting = false

  @Option(help: "Number of files to process in parallel; they share the threads (default: 1).")
  var jobs: Int?

  @Option(
    help: ArgumentHelp(
      "Process one share of the files: the i-th of n; env/n reads i from the array job's environment.",
      valueName: "i/n"))
  var shard: Shard?

  @Option(
    help:
      "How files are divided: by a hash of their names, or into shares of about equal size or duration."
  )
  var balance = ShareBalance.name

  @Option(
    help: ArgumentHelp(
      "Append a line of JSON for each file (docs/reference/json-output.md); - is standard output.",
      valueName: "file"), completion: .file())
  var journal: String?

  /// Whether any of these options was given.
  var isUsed: Bool {
    pattern != nil || skipExisting || jobs != nil || shard != nil || journal != nil || balance != .name
  }

  func validate() throws {
    if let jobs, !(1...64).contains(jobs) { throw ValidationError("--jobs must be 1...64") }
  }

  /// Checks the options against the other ones.
  func validate(with work: WorkOptions) throws {
    if skipExisting && work.overwrite {
      throw ValidationError("--skip-existing and --overwrite contradict each other")
    }
    if work.profile { throw ValidationError("--profile is for one video, not for a folder") }
  }
}
