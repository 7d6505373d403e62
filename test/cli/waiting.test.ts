// The line about a wait.

import test from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { Output } from '../../lib/cli/output.ts'
import { showWaiting } from '../../lib/cli/waiting.ts'
import { KeptStream } from './run-cli.ts'

function open(isTerminal: boolean): { readonly output: Output; readonly stderr: KeptStream } {
  const stderr = new KeptStream({ isTerminal })
  const stdout = new KeptStream()
  const env = { NO_COLOR: '1', LANG: 'C.UTF-8' }
  const forms = { isJson: false, isQuiet: false, isColourWanted: true }
  return { output: new Output({ stdout, stderr, env, ...forms }), stderr }
}

test('a wait is shown on a terminal, and wiped when the answer comes or fails', async (t) => {
  for (const how of ['comes', 'fails'] as const) {
    const { output, stderr } = open(true)
    let end = (): void => {}
    const answer = new Promise<string>((resolve, reject) => {
      end = () => (how === 'comes' ? resolve('answer') : reject(new Error('no')))
    })
    let nowMs = 0
    const shown = showWaiting(answer, { output, nowMs: () => (nowMs += 1_000) })
    shown.catch(() => {})
    while (stderr.text === '') await sleep(10)
    t.ok(/waiting for an answer {2}\d/.test(stderr.text))
    end()
    if (how === 'comes') t.is(await shown, 'answer')
    else await t.exception(shown)
    t.ok(stderr.text.endsWith('\r\u001b[2K'), 'wiped')
  }
})

test('an answer that comes at once, and one to a pipe, leave no trace', async (t) => {
  const atOnce = open(true)
  t.is(await showWaiting(Promise.resolve(1), { output: atOnce.output, nowMs: () => 0 }), 1)
  t.is(atOnce.stderr.text, '')
  const piped = open(false)
  let nowMs = 0
  const late = sleep(150, 2)
  t.is(await showWaiting(late, { output: piped.output, nowMs: () => (nowMs += 1_000) }), 2)
  t.is(piped.stderr.text, '')
})
