// How much of a node's log is kept, and how much waits for whoever reads it.

const MIB = 1024 * 1024

/** Bytes of a background node's log; then it becomes `aspen.log.1`, that `.2` and so on, and it is begun again. */
export const MAX_NODE_LOG_BYTES = 10 * MIB
/** Files of a background node's log, with the one that is written to; the oldest goes. */
export const MAX_NODE_LOG_FILES = 5
/** Bytes of log lines that cannot be written, on a full disk; beyond it, lines are dropped. */
export const MAX_NODE_LOG_BACKLOG_BYTES = MIB
