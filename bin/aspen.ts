#!/usr/bin/env node
// The program `aspen`: hands the arguments to lib/cli and exits with what it says.

import { main } from '../lib/cli/cli.ts'
import { EXIT, systemReason } from '../lib/errors.ts'

// A reader that has seen enough (`aspen kv scan | head`) is no error; a full disk is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  process.stderr.write(`the output cannot be written: ${systemReason(error)}\n`)
  process.exit(error.code === 'ENOSPC' ? EXIT.noSpace : EXIT.ioError)
})

const { env, stdin, stdout, stderr } = process
process.exitCode = await main(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  nowMs: () => Date.now()
})
