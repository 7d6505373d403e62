// Where everything that a command says goes. Stdout carries results and nothing else: human text,
// or with `--json` exactly one object on one line, or with `--quiet` the one value that matters.
// Progress, notes and hints go to stderr. A ticket is shown only where a result is one.

import { CODES } from '../errors.ts'
import type { AspenError } from '../errors.ts'
import { errorAnswer } from '../http/error-body.ts'
import type { Environment, OutputStream, Style } from './style.ts'
import { styleOf } from './style.ts'
import { printable, spelledOut, withoutTickets } from './text.ts'

export interface OutputOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Environment
  readonly isJson: boolean
  readonly isQuiet: boolean
  /** false: `--no-color` */
  readonly isColourWanted: boolean
}

/** One result in its three forms; only the one that was asked for is made. */
export interface Result {
  readonly human: (style: Style) => readonly string[]
  readonly json: () => object
  /** null prints nothing */
  readonly quiet: () => string | null
}

export class Output {
  readonly isJson: boolean
  readonly isQuiet: boolean
  /** style of stdout */
  readonly style: Style
  /** style of stderr */
  readonly errorStyle: Style
  readonly #stdout: OutputStream
  readonly #stderr: OutputStream

  constructor(options: OutputOptions) {
    this.isJson = options.isJson
    this.isQuiet = options.isQuiet
    this.style = styleOf(options.stdout, options.env, options.isColourWanted)
    this.errorStyle = styleOf(options.stderr, options.env, options.isColourWanted)
    this.#stdout = options.stdout
    this.#stderr = options.stderr
  }

  /** Prints the result of a command. `--json` wins over `--quiet`. */
  result(result: Result): void {
    if (this.isJson) {
      this.#stdout.write(`${JSON.stringify(result.json())}\n`)
      return
    }
    if (this.isQuiet) {
      const text = result.quiet()
      if (text !== null) this.#stdout.write(`${text}\n`)
      return
    }
    for (const line of result.human(this.style)) this.#stdout.write(`${line}\n`)
  }

  /**
   * Bytes of a result as they are. A terminal gets a line end after them, and in place of what it would
   * obey, the spelling of that: a value comes from another machine.
   */
  raw(bytes: Uint8Array): void {
    const spelled = this.style.isTerminal ? spelledOut(bytes) : null
    this.#stdout.write(spelled ?? bytes)
    if (this.style.isTerminal) this.#stdout.write('\n')
    if (spelled !== null) {
      this.note(
        this.errorStyle.dim('not as it is, which a terminal would obey: use a pipe or --json')
      )
    }
  }

  /** A line of a stream of lines (`logs`, `dev`) to stdout. */
  streamLine(line: string): void {
    this.#stdout.write(`${line}\n`)
  }

  /** A line for people beside the result; `--quiet` leaves it out. */
  note(line: string): void {
    if (!this.isQuiet) this.#stderr.write(`${line}\n`)
  }

  /** Redraws the last line of the terminal; only for a terminal. */
  redraw(line: string): void {
    if (!this.isQuiet) this.#stderr.write(`\r\u001b[2K${line}`)
  }

  /** Tells of the error and gives the exit code. With `--json` the only thing on stdout. */
  failure(error: AspenError): number {
    if (this.isJson) {
      const body = withoutTickets(JSON.stringify(errorAnswer(error).body))
      this.#stdout.write(`${body}\n`)
    } else this.#stderr.write(`${this.errorStyle.symbol('failure')} ${errorLine(error)}\n`)
    return CODES[error.code].exitCode
  }

  /** An error line in words of the command's own, with the same rules as `failure`. */
  failureLine(line: string, error: AspenError): number {
    if (this.isJson) return this.failure(error)
    this.#stderr.write(`${printable(withoutTickets(line))}\n`)
    return CODES[error.code].exitCode
  }
}

function errorLine(error: AspenError): string {
  const { message, hint } = error.detail
  const separator = message.endsWith('?') ? ' ' : ': '
  return printable(withoutTickets(hint === undefined ? message : message + separator + hint))
}
