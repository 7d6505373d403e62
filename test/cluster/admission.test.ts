// Letting a node in: two entries, one answer, within its time.

import test from 'brittle'
import { Admission } from '../../lib/cluster/admission.ts'
import { openSealed } from '../../lib/crypto.ts'
import { bytesFromHex } from '../../lib/encoding.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { KeyValueStoreError } from '../../lib/errors.ts'
import { JOIN_DEADLINE_MS } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { ControlCommand } from '../../lib/state-machine/command.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { JoinAnswer, VerifiedJoinRequest } from '../../lib/transport/transport.ts'
import { configurationOf, keyOf, keyPairOf, nodeOf, SECRET } from './fixtures.ts'

const REQUEST: VerifiedJoinRequest = {
  publicKey: keyOf(5),
  invitePublicKey: keyOf(77),
  name: 'five',
  version: '1.0.0',
  addresses: []
}
const WITHOUT = configurationOf({ 1: 'voter' })
const WITH = configurationOf({ 1: 'voter', 5: 'learner' })

function open() {
  const time = new VirtualTime()
  const commands: ControlCommand[] = []
  const answers: JoinAnswer[] = []
  const admitted: string[] = []
  const world = {
    secret: SECRET as Uint8Array | null,
    configuration: WITHOUT,
    isKnown: true,
    usedUp: false,
    result: (): Promise<ApplyResult> =>
      Promise.resolve({ kind: 'admitted', id: 5, isNew: true } as const)
  }
  const { id, epoch, sealedSecret } = nodeOf(5)
  const admission = new Admission({
    trust: {
      epoch: () => 1,
      epochSecret: () => world.secret,
      configuration: () => world.configuration,
      welcomeFor: () =>
        world.isKnown ? { id, epoch, sealedSecret, configuration: world.configuration } : null,
      whyUsedUp: () => (world.usedUp ? { code: 'TICKET_USED_UP', message: 'used up' } : null)
    },
    clock: time,
    timers: time,
    random: new SeededRandom(1),
    submit: (command) => {
      commands.push(command)
      return world.result()
    },
    onAnswered: () => {},
    onAdmitted: ({ name }) => admitted.push(name)
  })
  const join = (request = REQUEST): void => admission.onJoin(request, (one) => answers.push(one))
  return { time, commands, answers, admitted, world, join }
}

const failing = (code: ErrorCode) => () =>
  Promise.reject(new KeyValueStoreError({ code, message: 'planted' }))

test('the epoch secret is sealed to the joiner, and its welcome waits for the second entry', async (t) => {
  const { time, commands, answers, admitted, world, join } = open()
  join()
  await time.run(100)
  const [command] = commands
  t.is(command?.kind, 'admit')
  if (command?.kind !== 'admit') return
  t.alike(openSealed(command.sealedSecret, keyPairOf(5)), SECRET)
  t.alike([command.epoch, command.publicKey], [1, keyOf(5)])
  t.alike(answers, [], 'it is in no configuration yet')
  world.configuration = WITH
  await time.run(10)
  t.is(answers.length, 1)
  t.is(answers[0]?.kind, 'admitted')
  t.alike(admitted, ['five'])
  await time.run(10_000)
  t.is(answers.length, 1)
  t.is(time.pendingCount, 0)
})

test('asked again it answers the same, and tells nobody twice', async (t) => {
  const { time, answers, admitted, world, join } = open()
  world.configuration = WITH
  join()
  await time.run(1)
  world.result = () => Promise.resolve({ kind: 'admitted', id: 5, isNew: false })
  join()
  await time.run(1)
  t.is(answers.length, 2)
  t.alike(answers[0], answers[1])
  t.alike(admitted, ['five'])
})

test('a configuration or a record that does not come in time is busy, before the joiner gives up', async (t) => {
  for (const lacking of ['configuration', 'record']) {
    const { time, answers, world, join } = open()
    world.isKnown = lacking !== 'record'
    if (lacking === 'record') world.configuration = WITH
    join()
    await time.run(JOIN_DEADLINE_MS - 100)
    t.alike(answers, [{ kind: 'busy' }], lacking)
  }
})

test('what may succeed later is busy; what will not is refused with its reason', async (t) => {
  const endOf = async (result: () => Promise<ApplyResult>): Promise<string> => {
    const { time, answers, world, join } = open()
    world.result = result
    join()
    await time.run(1)
    const [answer] = answers
    return answer?.kind === 'refused' ? answer.error.code : (answer?.kind ?? 'no answer')
  }
  const refused = (code: ErrorCode) => () =>
    Promise.resolve<ApplyResult>({ kind: 'refused', error: { code, message: 'planted' } })
  t.is(await endOf(refused('CHANGE_IN_PROGRESS')), 'busy', 'the epoch has moved')
  t.is(await endOf(refused('TICKET_REVOKED')), 'TICKET_REVOKED')
  t.is(await endOf(refused('TOO_MANY_MEMBERS')), 'TOO_MANY_MEMBERS')
  for (const code of ['UNAVAILABLE', 'OVERLOADED', 'TIMEOUT', 'OUTCOME_UNKNOWN'] as const) {
    t.is(await endOf(failing(code)), 'busy', code)
  }
})

test('without the epoch secret it is busy, with a used-up ticket refused, and proposes nothing', async (t) => {
  const { time, answers, commands, world, join } = open()
  world.secret = null
  join()
  world.secret = SECRET
  world.usedUp = true
  join()
  await time.run(1)
  t.is(answers[0]?.kind, 'busy')
  t.is(answers[1]?.kind, 'refused')
  t.is(commands.length, 0)
})

test('a key that no secret can be sealed to is refused, and harms nobody', async (t) => {
  // a point of order 8
  const hex = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
  const publicKey = bytesFromHex(hex, 32) ?? new Uint8Array(32)
  const { time, answers, commands, join } = open()
  join({ ...REQUEST, publicKey })
  await time.run(1)
  const [answer] = answers
  t.is(answer?.kind === 'refused' ? answer.error.code : answer?.kind, 'PROTOCOL')
  t.is(commands.length, 0)
})
