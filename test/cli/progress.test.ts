// Progress on stderr: silent for 300 ms, a line per phase, one line redrawn on a terminal.

import test from 'brittle'
import { Output } from '../../lib/cli/output.ts'
import { ProgressDisplay } from '../../lib/cli/progress.ts'
import { KeptStream } from './run-cli.ts'

function open(isTerminal: boolean, isQuiet = false) {
  const stderr = new KeptStream({ isTerminal })
  const clock = { nowMs: 1_000 }
  const display = new ProgressDisplay({
    output: new Output({
      stdout: new KeptStream(),
      stderr,
      env: { LANG: 'C.UTF-8', NO_COLOR: '1' },
      isJson: false,
      isQuiet,
      isColourWanted: true
    }),
    nowMs: () => clock.nowMs,
    hasSteps: true,
    canRedraw: true
  })
  return { stderr, clock, display }
}

test('what is done within 300 ms says nothing', (t) => {
  for (const isTerminal of [true, false]) {
    const { stderr, clock, display } = open(isTerminal)
    display.update({ phase: 'open', text: 'opening' })
    clock.nowMs += 299
    display.update({ phase: 'lookup', text: 'looking' })
    display.close('ok')
    t.is(stderr.text, '')
  }
})

test('without a terminal each phase is one line with the time so far', (t) => {
  const { stderr, clock, display } = open(false)
  display.update({ phase: 'open', text: 'opening' })
  clock.nowMs += 400
  display.update({ phase: 'lookup', text: 'looking' })
  display.update({ phase: 'lookup', text: 'looking' })
  clock.nowMs += 1_000
  display.update({ phase: 'admission', text: 'asking \u001b[2J' })
  display.close('ok')
  display.close('ok')
  t.is(stderr.text, '  [1/3] looking  400 ms\n  [2/3] asking \\x1b[2J  1.4 s\n')
})

test('a terminal keeps one line per ended phase, with how long it took', (t) => {
  const { stderr, clock, display } = open(true)
  clock.nowMs += 300
  display.update({ phase: 'connect', text: 'dialling' })
  clock.nowMs += 250
  display.update({ phase: 'catchup', text: 'catching up' })
  clock.nowMs += 50
  display.close('failure')
  const kept = stderr.text.split('\n').map((line) => line.split('\u001b[2K').at(-1))
  t.alike(kept, ['✓ [1/3] dialling  250 ms', '✗ [3/3] catching up  50 ms', ''])
})

test('--quiet shows no progress', (t) => {
  const { stderr, clock, display } = open(true, true)
  clock.nowMs += 5_000
  display.update({ phase: 'connect', text: 'dialling' })
  display.close('ok')
  t.is(stderr.text, '')
})
