#!/usr/bin/env node
// The program `aspen`: hands the arguments to lib/cli and exits with what it says.

import { main } from '../lib/cli/cli.ts'
import { diskCodeOf, EXIT, systemReason } from '../lib/errors.ts'

/** Of a result that could not be written; a reader that has seen enough (`| head`) is no failure. */
let outputFailure: number | null = null

/** The command goes on and ends as it would have: a node must not stop because of what it prints. */
const stdoutLost = new Promise<void>((resolve) => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    resolve()
    if (error.code === 'EPIPE' || outputFailure !== null) return
    outputFailure = diskCodeOf(error) === 'NO_SPACE' ? EXIT.noSpace : EXIT.ioError
    process.exitCode = outputFailure
    process.stderr.write(`the output cannot be written: ${systemReason(error)}\n`)
  })
})
process.stderr.on('error', () => {}) // nobody is left to be told

const { env, stdin, stdout, stderr } = process
const exitCode = await main(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  stdoutLost,
  nowMs: () => Date.now()
})
process.exitCode = outputFailure ?? exitCode
