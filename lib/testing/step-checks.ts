// Checks of a single step or message, which need no memory, and the sets of voters that they count in.

import { assert } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Index } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import type { LogMirror } from './log-mirror.ts'
import { hold } from './oracle.ts'
import type { Step } from './oracle.ts'

/** A leader changes the configuration once the one before is committed, and an entry of its term (I9). */
export function checkChange({ core, after }: Step, mirror: LogMirror, index: Index): void {
  if (after.role !== 'leader') return
  const previous = mirror.configurations.at(-1)?.index ?? 0
  const isSettled = previous <= after.commitIndex
  hold(isSettled, 'I9', `${core.id} changes twice: entries ${previous} and ${index}`)
  const isOwn = core.knownAt(after.commitIndex)?.term === after.term
  hold(isOwn, 'I9', `${core.id} makes change ${index} and has committed nothing in its term`)
}

/** Being asked whether one would vote changes nothing (I11). */
export function checkUnchanged(step: Step, deadlineMs: number | undefined): void {
  const { core, before, after, effects } = step
  const isSame =
    effects.write === null &&
    (deadlineMs ?? effects.deadlineMs) === effects.deadlineMs &&
    before.term === after.term &&
    before.role === after.role &&
    before.leader === after.leader &&
    before.commitIndex === after.commitIndex
  hold(isSame, 'I11', `a pre-vote changed node ${core.id}`)
}

export function checkContiguous({ previousIndex, entries }: Message & { kind: 'append' }): void {
  entries.forEach(({ index }, position) => {
    assert(Number.isSafeInteger(index), 'an index')
    hold(index === previousIndex + 1 + position, 'I7', 'an append is contiguous')
  })
}

export function lastSent({ previousIndex, entries }: Message & { kind: 'append' }): Index {
  return previousIndex + entries.length
}

/** Written out again: an oracle that shares the code under test shares its faults. */
function votersIn({ members }: Configuration): readonly NodeId[] {
  return members.filter(({ role }) => role === 'voter').map(({ id }) => id)
}

/** The sets of voters that must agree. */
export function activeSets(configuration: Configuration): readonly (readonly NodeId[])[] {
  return [votersIn(configuration), configuration.outgoing].filter((set) => set.length > 0)
}

export function isJoint({ outgoing }: Configuration): boolean {
  return outgoing.length > 0
}

/** Whether any quorum of `before` and any of `after` share a voter. */
export function follows(before: Configuration, after: Configuration): boolean {
  const isSame = (a: readonly NodeId[], b: readonly NodeId[]): boolean => a.join() === b.join()
  if (isJoint(after)) return !isJoint(before) && isSame(after.outgoing, votersIn(before))
  return isSame(votersIn(before), votersIn(after))
}
