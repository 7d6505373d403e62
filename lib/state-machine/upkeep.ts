// What the cluster agrees on about the store itself: up to where history is forgotten, and what all
// members can do. Pure and deterministic.

import { unreachable } from '../assert.ts'
import type { ControlCommand } from './command.ts'
import type { ApplyResult, Revision } from './state-machine.ts'
import type { Stamp } from './trust.ts'

export interface Upkeep {
  readonly compactedRevision: Revision
  readonly featureLevel: number
}

export type UpkeepCommand = Extract<ControlCommand, { kind: 'compact' | 'raiseFeatureLevel' }>

/** The same in every version: every published program knows snapshot entries and compactions, which are level 1. */
export const UPKEEP_AT_FIRST: Upkeep = { compactedRevision: 0, featureLevel: 1 }

export interface UpkeepStep {
  readonly state: Upkeep
  readonly result: ApplyResult
}

export function isUpkeep(command: ControlCommand): command is UpkeepCommand {
  return command.kind === 'compact' || command.kind === 'raiseFeatureLevel'
}

/** Neither goes back: to ask for less than there is, is done already. */
export function applyUpkeep(state: Upkeep, command: UpkeepCommand, at: Stamp): UpkeepStep {
  switch (command.kind) {
    case 'compact': {
      if (command.revision >= at.index) return notYet(state, command.revision, at)
      const compactedRevision = Math.max(state.compactedRevision, command.revision)
      return {
        state: { ...state, compactedRevision },
        result: { kind: 'compacted', revision: compactedRevision }
      }
    }
    case 'raiseFeatureLevel': {
      const featureLevel = Math.max(state.featureLevel, command.level)
      return {
        state: { ...state, featureLevel },
        result: { kind: 'levelRaised', level: featureLevel }
      }
    }
    default:
      return unreachable(command)
  }
}

function notYet(state: Upkeep, revision: Revision, at: Stamp): UpkeepStep {
  const message = `revision ${revision} does not precede the entry at ${at.index} that is to compact up to it`
  return { state, result: { kind: 'refused', error: { code: 'INVALID_REQUEST', message } } }
}
