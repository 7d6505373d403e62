// The search against twelve public histories whose verdicts are known: test/golden/histories.

import test from 'brittle'
import { readFileSync } from 'node:fs'
import { registerModel } from '../../lib/testing/register-model.ts'
import { checkIntervals } from '../../lib/testing/wing-gong.ts'
import { parseJepsenLog } from './jepsen-log.ts'

const LINEARIZABLE = ['002', '005', '007', '018', '025', '031']
const NOT_LINEARIZABLE = ['000', '001', '003', '010', '050', '099']

for (const [names, verdict] of [
  [LINEARIZABLE, 'ok'],
  [NOT_LINEARIZABLE, 'illegal']
] as const) {
  for (const name of names) {
    test(`the public history etcd_${name} is ${verdict}`, (t) => {
      const text = readFileSync(`test/golden/histories/etcd_${name}.log`, 'utf8')
      const intervals = parseJepsenLog(text)
      const startMs = performance.now()
      const found = checkIntervals(registerModel, intervals)
      const ms = Math.round(performance.now() - startMs)
      t.is(found.kind, verdict)
      t.comment(`${intervals.length} operations, ${found.stepCount} steps, ${ms} ms`)
      if (found.kind === 'illegal') {
        t.comment(`${found.prefix.length} in order, then not ${JSON.stringify(found.stuck)}`)
      }
    })
  }
}

test('a log that is not one is refused', async (t) => {
  await t.exception(
    () => parseJepsenLog('INFO  jepsen.util - 0\t:ok\t:read\t1\n'),
    /an answer to nothing/
  )
  await t.exception(
    () => parseJepsenLog('INFO  jepsen.util - 0\t:invoke\t:jump\t1\n'),
    /not a line/
  )
})
