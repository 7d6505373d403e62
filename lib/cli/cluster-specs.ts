// The commands about the whole cluster, as data: who belongs, who votes, who leads, a snapshot. Any node takes them.

import type { CommandSpec } from './command-specs.ts'
import type { FlagSpec } from './flags.ts'
import { TIMEOUT_FLAG } from './flags.ts'

const WHO = "its id or its name, as 'aspen members' shows them"
const WHO_NOT_GONE =
  '--force does not help where a majority of the new voters is not there to agree.'

const FORCE_REMOVAL: FlagSpec = {
  spec: '--force',
  about: 'also when the voters in sight are no majority then: it is done when they are back'
}

export const CLUSTER_COMMANDS: readonly CommandSpec[] = [
  {
    path: ['members'],
    summary: 'the members of the cluster as this node sees them; add, promote, demote, remove',
    flags: [TIMEOUT_FLAG],
    run: async (invocation) => (await import('./status-commands.ts')).members(invocation)
  },
  {
    path: ['members', 'add'],
    summary: 'let a node in by its public key, without a ticket; ends when it has caught up',
    description:
      'The node gets the next id and stays a learner until it is promoted. It need not run yet: it is admitted at\n' +
      'once, and that stays so when the time is over.',
    operands: [['<key>', 'its public key, 64 hex digits']],
    flags: [
      {
        spec: '--address <host:port>',
        about: 'where it may be reached, repeatable',
        isRepeatable: true
      },
      { ...TIMEOUT_FLAG, about: 'how long to wait until it has caught up (default: 1 min)' }
    ],
    run: async (invocation) => (await import('./cluster-commands.ts')).addMember(invocation)
  },
  {
    path: ['members', 'promote'],
    summary: 'make a learner a voter',
    description:
      'The learner must be in reach and have caught up, and the voters must not have changed for five minutes.\n' +
      WHO_NOT_GONE,
    operands: [['<member>', WHO]],
    flags: [
      { spec: '--replace <member>', about: 'a voter that becomes a learner in the same change' },
      {
        spec: '--force',
        about: 'without the pause, and whatever its health, its lag and the quorum'
      },
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./cluster-commands.ts')).promote(invocation)
  },
  {
    path: ['members', 'demote'],
    summary: 'make a voter a learner; it keeps its data and its id',
    operands: [['<member>', WHO]],
    flags: [TIMEOUT_FLAG],
    run: async (invocation) => (await import('./cluster-commands.ts')).demote(invocation)
  },
  {
    path: ['members', 'remove'],
    summary: 'remove a member for good; a learner takes the place of a voter, if one can',
    description:
      'Its key is never let in again: the same machine joins as a new node, from an empty folder. All open tickets\n' +
      'are revoked, since it may have had one.',
    operands: [['<member>', WHO]],
    flags: [{ spec: '--yes|-y', about: 'do not ask first' }, FORCE_REMOVAL, TIMEOUT_FLAG],
    run: async (invocation) => (await import('./cluster-commands.ts')).removeMember(invocation)
  },
  {
    path: ['leader'],
    summary: 'who leads; hand leadership over',
    flags: [TIMEOUT_FLAG],
    run: async (invocation) => (await import('./cluster-commands.ts')).leader(invocation)
  },
  {
    path: ['leader', 'transfer'],
    summary: 'hand leadership over to another voter',
    operands: [['[member]', `${WHO}; the best one when left out`]],
    flags: [TIMEOUT_FLAG],
    run: async (invocation) => (await import('./cluster-commands.ts')).transferLeader(invocation)
  },
  {
    path: ['snapshot'],
    summary: 'make all members snapshot now, so that their logs can be cut',
    flags: [
      { ...TIMEOUT_FLAG, about: 'how long to wait for the one of this node (default: 1 min)' }
    ],
    run: async (invocation) => (await import('./cluster-commands.ts')).snapshot(invocation)
  }
]
