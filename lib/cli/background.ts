// The other end of daemon.ts: this process is a background node that a command waits for. It takes
// the ticket from the IPC channel, reports over it, and lets go of it when it is ready.

import type { AspenError } from '../errors.ts'
import { EXIT } from '../errors.ts'
import { createLogger } from '../node/log.ts'
import type { NodeOptions } from '../node/options.ts'
import type { BackgroundKind, Report } from './daemon-messages.ts'
import { isBegin } from './daemon-messages.ts'
import { errorAnswer } from '../http/error-body.ts'
import type { NodeReporter } from './run-node.ts'
import { runNode } from './run-node.ts'
import type { Launch } from './launch.ts'
import { Reloader } from './reload.ts'
import { keepLogBounded } from './log-file.ts'

const STDERR = 2

export async function runInBackground(launch: Launch, kind: BackgroundKind): Promise<number> {
  const begin = await beginMessage()
  if (begin === null) return EXIT.failed
  const isDetached = kind === 'detached'
  const bounds = isDetached ? keepLogBounded(launch.target.dataDir, STDERR) : null
  if (!isDetached) process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  const logger = createLogger({ level: launch.logLevel, destination: 'ndjson' })
  const reporter = ipcReporter(logger, isDetached)
  try {
    const reloader = new Reloader({ launch, env: process.env, logger })
    const onHangUp = (): void => void reloader.reload() // says in the log what came of it
    return await runNode({ launch, ticket: begin.ticket, logger, reporter, onHangUp })
  } finally {
    bounds?.close()
    letGo()
  }
}

/** Null when the command has gone before it said anything. */
function beginMessage(): Promise<{ readonly ticket: string | null } | null> {
  return new Promise((resolve) => {
    process.once('disconnect', () => resolve(null))
    process.on('message', (message: unknown) => {
      if (isBegin(message)) resolve(message)
    })
  })
}

function ipcReporter(logger: NodeOptions['logger'], isDetached: boolean): NodeReporter {
  return {
    progress: (progress) => void send({ kind: 'progress', progress }), // nobody may be left to read it
    ready: (ready) => void send({ kind: 'ready', ready }).then(isDetached ? letGo : undefined), // likewise
    closing: () => {},
    failed: (error: AspenError) => {
      logger.fatal({ event: 'node.not_opened', err: error }, 'the node could not be opened')
      return send({ kind: 'failed', body: errorAnswer(error).body })
    }
  }
}

/** Resolves when the message has left or nobody is there to take it. */
function send(report: Report): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || process.send === undefined) resolve()
    else process.send(report, undefined, undefined, () => resolve())
  })
}

function letGo(): void {
  if (process.connected) process.disconnect()
}
