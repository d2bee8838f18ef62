// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Generates completion scripts for shells. The argument parser's own scripts require a command's name; these
/// also complete lines without one, as lines of the default command.
enum CompletionScript {
  private static let option = "--generate-completion-script"

  /// Returns the script that the arguments request; nil for other arguments, or for an unknown shell.
  static func requested(by arguments: [String]) -> String? {
    guard let first = arguments.first else { return nil }
    let name: String?
    if first == option {
      name = arguments.dropFirst().first
    } else if first.hasPrefix(option + "=") {
      name = String(first.dropFirst(option.count + 1))
    } else {
      return nil
    }
    guard let name else { return CompletionShell.autodetected().map(script) }
    return CompletionShell(rawValue: name).map(script)
  }

  /// Returns the script for a shell.
  static func script(for shell: CompletionShell) -> String {
    let made = VidenhanceCommand.completionScript(for: shell)
    let commands = UsageHint.commands
    switch shell {
    case .bash: return wrapped(made, end: "complete ", bash(commands))
    case .zsh: return wrapped(made, end: "if [[ \"${funcstack[1]}\"", zsh(commands))
    case .fish: return made + "\n" + fish(commands)
    default: return made
    }
  }

  /// Renames the function that completes the whole line, and inserts a wrapper under its old name before the
  /// last lines, which install it.
  private static func wrapped(_ script: String, end: String, _ wrapper: String) -> String {
    var lines = script.replacing("\n_videnhance() {\n", with: "\n__videnhance_root() {\n", maxReplacements: 1)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let index = lines.lastIndex { $0.hasPrefix(end) } ?? lines.endIndex
    lines.insert(contentsOf: [wrapper, ""], at: index)
    // Falls back to file names, such as for option values that may be files or names.
    return lines.map {
      $0.hasPrefix("complete -o filenames ")
        ? $0.replacing("-o filenames", with: "-o filenames -o bashdefault -o default") : $0
    }.joined(separator: "\n")
  }

  private static func bash(_ commands: [String]) -> String {
    """
    # Without a command, the line is one of "enhance".
    _videnhance() {
        local -a given=("${COMP_WORDS[@]}")
        if [[ "${COMP_CWORD}" -gt 1 ]]; then
            case "${given[1]}" in
            help)
                if [[ "${COMP_CWORD}" -eq 2 ]]; then
                    COMPREPLY=($(compgen -W "\(commands.joined(separator: " "))" -- "${2}"))
                fi
                return
                ;;
            \(commands.joined(separator: "|")))
                __videnhance_root "${@}"
                return
                ;;
            esac
        elif [[ "${2}" != -* ]]; then
            # A command, or the first file.
            __videnhance_root "${@}"
        fi
        local -a COMP_WORDS=("${given[0]}" enhance "${given[@]:1}")
        local -i at="${COMP_CWORD}"
        local -i COMP_CWORD="$((at + 1))"
        local whole="${COMP_LINE}"
        local COMP_LINE="${given[0]} enhance${whole#"${given[0]}"}"
        at="${COMP_POINT}"
        local -i COMP_POINT="$((at + 8))"
        __videnhance_root "${@}"
    }
    """
  }

  private static func zsh(_ commands: [String]) -> String {
    """
    # Without a command, the line is one of "enhance".
    _videnhance() {
        local -i result=1
        if (( CURRENT > 2 )); then
            case "${words[2]}" in
            help)
                if (( CURRENT == 3 )); then
                    compadd -- \(commands.joined(separator: " ")) && result=0
                fi
                return "${result}"
                ;;
            \(commands.joined(separator: "|")))
                __videnhance_root "${@}"
                return
                ;;
            esac
        elif [[ "${words[2]}" != -* ]]; then
            # A command, or the first file.
            local -a given=("${words[@]}")
            __videnhance_root "${@}" && result=0
            words=("${given[@]}")
            CURRENT=2
        fi
        words=("${words[1]}" enhance "${(@)words[2,-1]}")
        (( CURRENT++ ))
        __videnhance_root "${@}" && result=0
        (( result )) && _files && result=0
        return "${result}"
    }
    """
  }

  private static func fish(_ commands: [String]) -> String {
    """
    # Without a command, the line is one of "enhance".
    function __videnhance_tokens
        set -l flag -o
        if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
            set flag --tokens-raw
        end
        set -l tokens (commandline $flag $argv)
        if string match -q -- '-p*' "$argv[1]"
            if test (count $tokens) -gt 1
                contains -- $tokens[2] \(commands.joined(separator: " "))
                or set tokens $tokens[1] enhance $tokens[2..]
            else if string match -q -- '-*' (commandline -t)
                set tokens $tokens[1] enhance
            end
        end
        test (count $tokens) -gt 0 && printf '%s\\n' $tokens
    end

    complete -c 'videnhance' -n 'test (count (commandline -opc)) -eq 1' -F
    complete -c 'videnhance' -n 'test (commandline -opc | string join " ") = "videnhance help"' \\
        -fa '\(commands.joined(separator: " "))'
    """
  }
}
