// The connection of a command to the node of this machine, over the Unix socket in its data
// directory.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../client/client.ts'
import { AspenError, ConfigError } from '../errors.ts'
import { readRuntime, socketPathOf } from '../node/places.ts'
import type { Invocation, Target } from './invocation.ts'
import { shortPath, targetOf } from './invocation.ts'
import { formatDuration } from './text.ts'

/** Calls `work` with a client of the node, and closes it. @throws AspenError NODE_NOT_RUNNING */
export async function withNode<T>(
  invocation: Invocation,
  work: (client: Client) => Promise<T>
): Promise<T> {
  const target = targetOf(invocation)
  const socketPath =
    readRuntime(target.dataDir)?.socket ?? socketPathOf(target.dataDir, invocation.host.env)
  const client = Client.connect({ socketPath })
  try {
    return await work(client)
  } catch (error) {
    if (error instanceof AspenError && error.code === 'NODE_NOT_RUNNING')
      throw notRunning(target, error)
    throw error
  } finally {
    client.close()
  }
}

/** The answer, unless it takes longer. For requests that have no deadline of their own. */
export async function withDeadline<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const message = `the node did not answer within ${formatDuration(timeoutMs)}`
      reject(new AspenError({ code: 'TIMEOUT', message }))
    }, timeoutMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function notRunning({ dataDir, selector }: Target, cause: unknown): ConfigError {
  const hasNode = existsSync(join(dataDir, 'node.json'))
  const detail = hasNode
    ? {
        message: `the node in ${shortPath(dataDir)} is not running`,
        hint: `'aspen start${selector}' starts it`
      }
    : {
        message: `there is no node in ${shortPath(dataDir)}`,
        hint: `'aspen create${selector}' makes a cluster, 'aspen join${selector} <ticket>' joins one, 'aspen start' runs one that is there`
      }
  return new ConfigError({ code: 'NODE_NOT_RUNNING', ...detail }, { cause })
}
