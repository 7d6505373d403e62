// The log lines about role, term and leader.

import test from 'brittle'
import { StatusLog } from '../../lib/node/status-log.ts'
import type { Status } from '../../lib/raft/effects.ts'

test('a status is logged when role, term or leader changed, and only then', (t) => {
  const lines: object[] = []
  const log = new StatusLog({
    info: (fields) => lines.push(fields),
    warn: () => t.fail('a warning')
  })
  const tell = (role: Status['role'], term: number, leader: number | null) =>
    log.tell({ role, term, leader })
  tell('follower', 1, null)
  tell('follower', 1, 2)
  tell('follower', 1, 2)
  tell('follower', 2, 2)
  tell('leader', 2, 2)
  tell('leader', 2, 2)
  t.alike(lines, [
    { event: 'raft.status', role: 'follower', term: 1, leader: null },
    { event: 'raft.status', role: 'follower', term: 1, leader: 2 },
    { event: 'raft.status', role: 'follower', term: 2, leader: 2 },
    { event: 'raft.status', role: 'leader', term: 2, leader: 2 }
  ])
})

test('a second leader of a term is a warning that names both', (t) => {
  const lines: object[] = []
  const warn = (fields: object, message: string) => lines.push({ ...fields, message })
  const log = new StatusLog({ info: () => t.fail('no information'), warn })
  log.tellSecondLeader({ term: 7, leader: 1, claimant: 3 })
  const message = 'nodes 1 and 3 both say that they lead term 7; one of them is broken or lies'
  t.alike(lines, [{ event: 'raft.two_leaders', term: 7, leader: 1, claimant: 3, message }])
})
