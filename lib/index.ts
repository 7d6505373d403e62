// `aspen`: a node inside another program.

export { AspenError, CODES, EXIT } from './errors.ts'
export type { ErrorCode, ErrorDetail, Outcome } from './errors.ts'
export { createLogger } from './node/log.ts'
export type { LoggerOptions } from './node/log.ts'
export { AspenNode } from './node/node.ts'
export type { Intent, NodeOptions, Opened, Progress } from './node/options.ts'
export type * from './service/cluster-controller.ts'
export type * from './service/documents.ts'
export type * from './service/node-api.ts'
export type { Change, Condition, WriteCommand } from './state-machine/command.ts'
export type { KeyValue } from './state-machine/state-machine.ts'
