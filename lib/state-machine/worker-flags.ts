// The flags of Node with which a thread starts. A thread takes those of its process as they are, and one that
// says of which kind the program on standard input is (`node --input-type=module`) forbids every thread that is
// a file: a program in which a node is embedded may have been started so. Pure.

/** `execArgv` of the process without what is about its own program. */
export function workerFlags(execArgv: readonly string[]): string[] {
  return execArgv.filter(
    (flag, at) => !flag.startsWith(INPUT_TYPE) && execArgv[at - 1] !== INPUT_TYPE
  )
}

const INPUT_TYPE = '--input-type'
