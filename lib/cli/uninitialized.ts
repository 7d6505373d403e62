// A node without a cluster, as `aspen start --uninitialized` and `aspen status` show it: who it is, and the ways
// into a cluster.

import { AspenError } from '../errors.ts'
import { readRuntime } from '../config/places.ts'
import { withNode } from './connect.ts'
import type { Waiting } from './daemon-messages.ts'
import type { Invocation, Target } from './invocation.ts'
import { shortPath, targetOf } from './invocation.ts'
import type { Style } from './style.ts'

/** Whether a node has said with it that it belongs to no cluster. */
export function isUninitialized(error: unknown): boolean {
  return error instanceof AspenError && error.code === 'NOT_INITIALIZED'
}

/** Asks the node of this machine, which has said so. */
export async function waitingNode(invocation: Invocation, timeoutMs: number): Promise<Waiting> {
  const info = await withNode(invocation, (node) => node.nodeInfo({ timeoutMs }))
  const runtime = readRuntime(targetOf(invocation).dataDir)
  const { pid = 0, socket = '', http = '' } = runtime ?? {}
  return { info, pid, api: { socket, http } }
}

/** `title`: what has happened, or how it is. */
export function printWaiting(
  { output }: Pick<Invocation, 'output'>,
  { waiting, target }: { readonly waiting: Waiting; readonly target: Target },
  title: (style: Style) => string
): void {
  const { info, api, pid } = waiting
  output.result({
    human: (style) => [title(style), ...linesOf(waiting, target, style)],
    json: () => ({ initialized: false, node: info, data_dir: target.dataDir, pid, api }),
    quiet: () => info.key
  })
}

function linesOf({ info, api }: Waiting, { selector }: Target, style: Style): readonly string[] {
  const [address] = info.addresses
  const peer = address === undefined ? info.key : `${info.key}@${address}`
  return [
    `  key        ${style.bold(info.key)}`,
    `  addresses  ${info.addresses.join(', ') || 'none'}`,
    `  api        ${api.http} (unix: ${shortPath(api.socket)})`,
    '',
    '  It waits until it is to belong to a cluster:',
    '',
    '  - a cluster lets it in if it has one of the members as a peer; on any member:',
    `      ${style.bold(`aspen members add ${info.key}`)}`,
    '    (over HTTP: POST /cluster/add-learner)',
    '  - POST /cluster/init on it founds one. Nodes that are to be founding members run with',
    `      ${style.bold(`aspen start --uninitialized --peers ${peer}`)}`,
    `  - 'aspen stop${selector}', and 'aspen create${selector}' or 'aspen join${selector}' in its place`
  ]
}
