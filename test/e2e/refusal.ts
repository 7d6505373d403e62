// A command that must be refused, run both ways: as a person sees it and as a script does; or, where
// another test holds the one, only the other.

import type { CommandOptions, Lab } from './lab.ts'
import { jsonOf } from './lab.ts'

export interface Refusal {
  readonly exitCode: number | null
  /** the one line on stderr, or the same words out of the JSON when only that was asked for */
  readonly line: string
  /** of the ErrorBody that `--json` prints */
  readonly code: string
  readonly message: string
  readonly hint: string | null
  readonly isRetryable: boolean
  /** false: nothing happened; null: nobody can say */
  readonly applied: unknown
  /** the longer of the two, if it ran twice */
  readonly tookMs: number
}

export interface RefusalOptions extends CommandOptions {
  readonly lab: Lab
  /** runs it once, with `--json`: for a refusal that is printed the same way as one that runs twice */
  readonly isOnce?: boolean
}

/** Runs the command, usually twice. @throws when a way says more, or less, than one clear thing */
export async function refused(
  machine: string,
  args: readonly string[],
  options: RefusalOptions
): Promise<Refusal> {
  const human = options.isOnce === true ? null : await asPerson(machine, args, options)
  const { lab, ...rest } = options
  const end = args.indexOf('--')
  const at = end === -1 ? args.length : end
  const json = await lab.aspen(machine, [...args.slice(0, at), '--json', ...args.slice(at)], rest)
  if (json.code === 0 || (human !== null && json.code !== human.exitCode)) {
    throw new Error(`with --json aspen ${args.join(' ')} ended with ${json.code}: ${json.stdout}`)
  }
  const error = errorOf(jsonOf(json.stdout))
  return {
    exitCode: json.code,
    line: human?.line ?? (error.hint === null ? error.message : `${error.message}: ${error.hint}`),
    tookMs: Math.max(human?.tookMs ?? 0, json.tookMs),
    ...error
  }
}

async function asPerson(
  machine: string,
  args: readonly string[],
  { lab, ...options }: RefusalOptions
): Promise<{ readonly exitCode: number | null; readonly line: string; readonly tookMs: number }> {
  const { code, stdout, stderr, tookMs } = await lab.aspen(machine, args, options)
  const said = `aspen ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`
  if (code === 0) throw new Error(`should be refused: ${said}`)
  if (stdout !== '') throw new Error(`stdout is for results: ${said}`)
  const [line, ...more] = stderr.split('\n').filter(isErrorLine)
  if (line === undefined || more.length > 0) throw new Error(`one line expected: ${said}`)
  return { exitCode: code, line, tookMs }
}

/** Progress is indented, warnings begin with an exclamation mark, and both may come before. */
function isErrorLine(line: string): boolean {
  return (
    line !== '' &&
    !line.startsWith('  ') &&
    !/^(!|\[warn\]) /.test(line) &&
    !line.startsWith('see aspen ')
  )
}

function errorOf({ error }: Readonly<Record<string, unknown>>): {
  readonly code: string
  readonly message: string
  readonly hint: string | null
  readonly isRetryable: boolean
  readonly applied: unknown
} {
  if (typeof error !== 'object' || error === null) throw new Error('no error in the JSON')
  const body = new Map<string, unknown>(Object.entries(error))
  const hint = body.get('hint')
  return {
    code: String(body.get('code')),
    message: String(body.get('message')),
    hint: typeof hint === 'string' ? hint : null,
    isRetryable: body.get('retryable') === true,
    applied: body.get('applied')
  }
}
