// One register with compare-and-set: the model of the public histories that other checkers were
// tested with, and the smallest example of a model.

import { unreachable } from '../assert.ts'
import type { Model } from './wing-gong.ts'

export type RegisterOperation =
  /** `value` is what was read; null before the first write */
  | { readonly kind: 'read'; readonly value: number | null }
  | { readonly kind: 'write'; readonly value: number }
  | {
      readonly kind: 'cas'
      readonly from: number
      readonly to: number
      /** whether it found `from`; null when nobody was told */
      readonly isDone: boolean | null
    }

/** Holds a number, or null at first. */
export const registerModel: Model<number | null, RegisterOperation> = {
  init: () => null,
  step(state, operation) {
    switch (operation.kind) {
      case 'read':
        return operation.value === state ? state : undefined
      case 'write':
        return operation.value
      case 'cas': {
        const isFound = state === operation.from
        if (operation.isDone !== null && operation.isDone !== isFound) return undefined
        return isFound ? operation.to : state
      }
      default:
        return unreachable(operation)
    }
  },
  keyOf: (state) => String(state)
}
