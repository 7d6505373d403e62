// Where a request goes, and how it can end; free of what only Node's types can say, because the types of the
// client lead here.

export interface Target {
  readonly socketPath?: string
  readonly host?: string
  readonly port?: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  readonly text: string
}

export interface Failure {
  readonly kind: 'absent' | 'forbidden' | 'lost' | 'timeout' | 'tooLarge' | 'closed'
  /** whether the node may have had the whole request */
  readonly wasSent: boolean
  /** whether it went over a kept connection */
  readonly wasReused: boolean
  readonly cause?: Error | undefined
}

export interface SystemError extends Error {
  readonly code?: string
  readonly syscall?: string
}
