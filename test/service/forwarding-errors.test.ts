// How it is said that a command or a read was not carried out.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { Desk } from './leader.ts'

const DEADLINE = /^not carried out: the deadline of \d+ ms passed first$/

async function failureOf(promise: Promise<unknown>): Promise<AspenError | null> {
  return await promise.then(
    () => null,
    (error: unknown) => (error instanceof AspenError ? error : null)
  )
}

/** What a read says that nobody answers; `leader` 2 is this node. */
async function silenceOf(leader: number | null, timeoutMs: number): Promise<AspenError | null> {
  const desk = new Desk()
  if (leader !== null) desk.follow(leader, 3)
  const failure = failureOf(desk.forwarder.confirmRead(timeoutMs))
  await desk.time.run(timeoutMs)
  return await failure
}

test('nobody is blamed who had hardly any time to answer', async (t) => {
  for (const leader of [1, 2]) {
    for (const timeoutMs of [1, 20, 999]) {
      const error = await silenceOf(leader, timeoutMs)
      t.is(error?.code, 'UNAVAILABLE')
      t.ok(DEADLINE.test(error?.message ?? ''), error?.message)
      t.absent(error?.detail.hint?.includes('majority'))
    }
  }
})

test('who had the time and did not answer is named, and so is what is missing at once', async (t) => {
  const said = async (leader: number | null, timeoutMs: number) =>
    (await silenceOf(leader, timeoutMs))?.message
  t.is(await said(1, 1_000), 'not carried out within 1 s: node 1 leads but does not answer')
  const own = 'not carried out within 5 s: this node leads but a majority does not answer'
  t.is(await said(2, 5_000), own)
  t.is(await said(null, 1), 'not carried out within 1 ms: no leader is known')
})
