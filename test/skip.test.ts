// The probes for what a machine may lack: each answers, and says why when it lacks it.

import test from 'brittle'
import { isSkipped } from './skip.ts'
import type { Capability } from './skip.ts'

const CAPABILITIES: readonly Capability[] = [
  'ipv6-loopback',
  'network-namespaces',
  'unix',
  'unprivileged'
]

test('a capability is there, or its lack is said in the words that the runner reads', (t) => {
  for (const capability of CAPABILITIES) {
    const said: string[] = []
    const isLacking = isSkipped({ comment: (text) => said.push(text) }, capability)
    t.is(said.length, isLacking ? 1 : 0, capability)
    for (const text of said) t.ok(/^skip: \S/.test(text), text)
  }
})

test('root is not unprivileged', (t) => {
  const isRoot = process.getuid?.() === 0
  t.is(isSkipped({ comment: () => {} }, 'unprivileged'), isRoot)
})
