#!/usr/bin/env node
// The program `aspen`: hands the arguments to lib/cli and exits with what it says.

import { main } from '../lib/cli/cli.ts'

// A reader that has seen enough (`aspen kv scan | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const { env, stdin, stdout, stderr } = process
process.exitCode = await main(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  nowMs: () => Date.now()
})
