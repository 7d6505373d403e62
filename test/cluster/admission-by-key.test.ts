// An operator's admission: what is proposed, and what is refused before and after.

import test from 'brittle'
import { admitKey } from '../../lib/cluster/admission-by-key.ts'
import type { NodeToAdmit } from '../../lib/cluster/admission-by-key.ts'
import { openSealed } from '../../lib/crypto.ts'
import { hexOf } from '../../lib/encoding.ts'
import { AspenError, KeyValueStoreError } from '../../lib/errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_NAME_SIZE } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { ControlCommand } from '../../lib/state-machine/command.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { keyOf, keyPairOf, SECRET } from './fixtures.ts'

const SPEC: NodeToAdmit = {
  publicKey: keyOf(5),
  name: 'five',
  addresses: [{ host: '10.0.0.5', port: 4_000 }],
  role: 'learner',
  expectedId: null
}

function open(result: () => Promise<ApplyResult>, secret: Uint8Array | null = SECRET) {
  const submitted: (readonly [ControlCommand, number])[] = []
  const admit = async (changes: Partial<NodeToAdmit> = {}) => {
    const parts = {
      trust: { epoch: () => 3, epochSecret: () => secret },
      random: new SeededRandom(1),
      submit: (command: ControlCommand, timeoutMs: number) => {
        submitted.push([command, timeoutMs])
        return result()
      }
    }
    try {
      return await admitKey(parts, { ...SPEC, ...changes }, 700)
    } catch (error) {
      if (error instanceof AspenError) return error.detail
      throw error
    }
  }
  return { submitted, admit }
}

const admitted = (): Promise<ApplyResult> =>
  Promise.resolve({ kind: 'admitted', id: 5, isNew: true })

test('the secret of the present epoch is sealed to the key, and what was said goes with it', async (t) => {
  const { submitted, admit } = open(admitted)
  t.alike(await admit({ expectedId: 5 }), { id: 5, isNew: true })
  const [[command, timeoutMs] = []] = submitted
  t.is(timeoutMs, 700)
  if (command?.kind !== 'admitKey') return t.fail()
  const { sealedSecret, ...rest } = command
  t.alike(rest, { kind: 'admitKey', ...SPEC, expectedId: 5, epoch: 3 })
  t.alike(openSealed(sealedSecret, keyPairOf(5)), SECRET)
})

test('without a name it gets the beginning of its key', async (t) => {
  const { submitted, admit } = open(admitted)
  await admit({ name: null })
  const command = submitted[0]?.[0]
  t.is(command?.kind === 'admitKey' && command.name, hexOf(keyOf(5)).slice(0, 8))
})

test('what cannot be is refused before anything is proposed', async (t) => {
  const { submitted, admit } = open(admitted)
  const address = { host: '10.0.0.5', port: 1 }
  for (const changes of [
    { publicKey: new Uint8Array(31) },
    // a point of small order: it names nobody to whom a secret could be sealed
    { publicKey: new Uint8Array(32) },
    { name: 'x'.repeat(MAX_NAME_SIZE + 1) },
    { addresses: Array.from({ length: MAX_MEMBER_ADDRESSES + 1 }, () => address) }
  ]) {
    const detail = await admit(changes)
    t.is('code' in detail && detail.code, 'INVALID_REQUEST', Object.keys(changes)[0])
  }
  const without = open(admitted, null)
  const detail = await without.admit()
  t.is('code' in detail && detail.code, 'UNAVAILABLE')
  t.alike([...submitted, ...without.submitted], [])
})

test('what the cluster refuses, and what nobody knows, is told as it is', async (t) => {
  const error = { code: 'MEMBER_REMOVED', message: 'was removed' } as const
  t.alike(await open(() => Promise.resolve({ kind: 'refused', error })).admit(), error)
  const unknown = { code: 'TIMEOUT', message: 'late' } as const
  t.alike(await open(() => Promise.reject(new KeyValueStoreError(unknown))).admit(), unknown)
})
