// The limits of a configuration, like those of limits.ts.

/** Bytes of a configuration file; more is refused. */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024
/** Milliseconds that a heartbeat or an election timeout may be set to; more is refused. */
export const MAX_TIMING_MS = 600_000
