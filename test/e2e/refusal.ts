// A command that must be refused, run both ways: as a person sees it and as a script does.

import type { CommandOptions, Lab } from './lab.ts'
import { jsonOf } from './lab.ts'

export interface Refusal {
  readonly exitCode: number | null
  /** the one line on stderr */
  readonly line: string
  /** of the ErrorBody that `--json` prints */
  readonly code: string
  readonly message: string
  readonly hint: string | null
  readonly isRetryable: boolean
  /** false: nothing happened; null: nobody can say */
  readonly applied: unknown
  /** the longer of the two */
  readonly tookMs: number
}

export interface RefusalOptions extends CommandOptions {
  readonly lab: Lab
}

/** Runs the command twice. @throws when either way it says more, or less, than one clear thing */
export async function refused(
  machine: string,
  args: readonly string[],
  { lab, ...options }: RefusalOptions
): Promise<Refusal> {
  const human = await lab.aspen(machine, args, options)
  const said = `aspen ${args.join(' ')} ended with ${human.code}:\n${human.stdout}${human.stderr}`
  if (human.code === 0) throw new Error(`should be refused: ${said}`)
  if (human.stdout !== '') throw new Error(`stdout is for results: ${said}`)
  const lines = human.stderr.split('\n').filter(isErrorLine)
  if (lines.length !== 1) throw new Error(`one line expected: ${said}`)

  const end = args.indexOf('--')
  const at = end === -1 ? args.length : end
  const json = await lab.aspen(
    machine,
    [...args.slice(0, at), '--json', ...args.slice(at)],
    options
  )
  if (json.code !== human.code) throw new Error(`with --json ${json.code}, without: ${said}`)
  return {
    exitCode: human.code,
    line: lines[0] ?? '',
    tookMs: Math.max(human.tookMs, json.tookMs),
    ...errorOf(jsonOf(json.stdout))
  }
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
