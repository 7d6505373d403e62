// What a node does with a snapshot that was fetched and prepared beside the log (thesis 5): the log
// begins after it from now on. The base moves, entries go, hard state and configuration follow, all in
// one write (B35, B48).
//
// A snapshot contains committed entries only, so this term's leader holds them; nobody is asked again. It
// never takes anything back: what is not beyond the commit index is obsolete (B36).

import b4a from 'b4a'
import { assert } from '../assert.ts'
import type { Core } from './core.ts'
import type { InstalledSnapshot } from './effects.ts'

export function onInstall(core: Core, snapshot: InstalledSnapshot): void {
  const { id, configurationIndex } = snapshot
  assert(configurationIndex <= id.index, 'a snapshot holds its configuration')
  if (isObsolete(core, snapshot)) {
    core.outbox.installed = 'obsolete'
    return
  }
  const own = core.log.idAt(id.index)
  assert(own !== 'compacted', 'what is compacted is committed')
  const isSame = own !== 'missing' && own.term === id.term
  if (isSame && !b4a.equals(own.hash, id.hash)) {
    const leader = core.role.kind === 'follower' ? (core.role.leader?.id ?? null) : null
    core.outbox.diverge(leader, id.index)
    return
  }
  core.install({ ...snapshot, keepsTail: isSame })
  // whoever granted a vote, or would, compared with a log that may be gone: that election is over (B5)
  if (core.role.kind !== 'follower') core.becomeFollower(null)
  core.outbox.installed = 'adopted'
}

/** A leader holds all that is committed; a later term than its own no snapshot of its leader can have. */
function isObsolete(core: Core, { id }: InstalledSnapshot): boolean {
  return core.role.kind === 'leader' || id.index <= core.commitIndex || id.term > core.term
}
