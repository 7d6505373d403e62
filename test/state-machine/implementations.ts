// Both implementations of the state machine, for the tests that run over both.

import test from 'brittle'
import type { Assert } from 'brittle'
import type { StorageError } from '../../lib/errors.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { ScanPage, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { GENESIS, openSqlite, rethrow } from './samples.ts'

export interface Implementation {
  readonly name: string
  readonly open: (t: Assert, onFailed?: (error: StorageError) => void) => Promise<StateMachine>
}

export const implementations: readonly Implementation[] = [
  {
    name: 'memory',
    open: async (_, onFailed = rethrow) =>
      MemoryStateMachine.open({ genesis: GENESIS, defer: setImmediate, onFailed })
  },
  {
    name: 'sqlite',
    open: async (t, onFailed) => openSqlite(await t.tmp(), onFailed)
  }
]

/** One test per implementation, on a machine of its own. */
export function check(
  title: string,
  body: (t: Assert, machine: StateMachine) => Promise<void>
): void {
  for (const { name, open } of implementations) {
    test(`${name}: ${title}`, async (t) => {
      const machine = await open(t)
      await body(t, machine)
      await machine.close()
    })
  }
}

/** The first rows. */
export function all(machine: StateMachine): ScanPage {
  return machine.scan({ prefix: new Uint8Array(0), after: null, limit: 1_000 })
}
