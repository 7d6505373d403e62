// States of a data directory (node.json) in which no node starts from it, and what to do instead. Said by whoever
// would start one, and by commands that find none running.

import type { ErrorDetail } from '../errors.ts'
import { REJOIN_HINT } from '../errors.ts'

/** Why no node starts in that state, whatever is wanted; null where one may. */
export function whyUnfitToStart(state: string, dataDir: string): ErrorDetail | null {
  const why = UNFIT.get(state)
  return why === undefined ? null : why(dataDir)
}

/** Of a `create` that was interrupted. */
export function halfMade(dataDir: string): ErrorDetail {
  return {
    code: 'NO_CLUSTER_HERE',
    message: `the cluster in ${dataDir} is not finished`,
    hint: "'aspen create' goes on with it"
  }
}

const UNFIT: ReadonlyMap<string, (dataDir: string) => ErrorDetail> = new Map([
  ['fenced', fenced],
  ['diverged', diverged],
  ['removed', removed],
  ['restoring', halfRestored]
])

function fenced(dataDir: string): ErrorDetail {
  return {
    code: 'FENCED',
    message: `the node in ${dataDir} was given up by 'aspen recover': a new cluster has taken its place`,
    hint: "it never starts again; if that was interrupted, 'aspen recover --accept-loss' goes on with it"
  }
}

function diverged(dataDir: string): ErrorDetail {
  return {
    code: 'STATE_DIVERGED',
    message: `the state in ${dataDir} was found to be another one than its cluster has`,
    hint: REJOIN_HINT
  }
}

function removed(dataDir: string): ErrorDetail {
  return {
    code: 'MEMBER_REMOVED',
    message: `the node in ${dataDir} was removed from its cluster, which is final`,
    hint: REJOIN_HINT
  }
}

function halfRestored(dataDir: string): ErrorDetail {
  return {
    code: 'NO_CLUSTER_HERE',
    message: `a backup was being restored in ${dataDir}, and that is not finished`,
    hint: "'aspen restore' with the backup begins again"
  }
}
