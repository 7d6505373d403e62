// Every command as data: words, operands, flags, and where its code is. The code is loaded when the
// command runs, so that `aspen kv get` does not pay for Hyperswarm.

import { CLUSTER_COMMANDS } from './cluster-specs.ts'
import {
  LOG_LEVEL_FLAG,
  PEERS_FLAG,
  SETTING_FLAGS,
  SETTINGS_HELP,
  TICKET_FILE_FLAG,
  TIMING_FLAG
} from './config-flags.ts'
import type { FlagSpec } from './flags.ts'
import { OUTPUT_FLAGS, PLACE_FLAGS, TIMEOUT_FLAG } from './flags.ts'
import type { Invocation } from './invocation.ts'

/** On the commands that start a node. */
const START_FLAGS: readonly FlagSpec[] = [
  ...SETTING_FLAGS,
  { spec: '--foreground', about: 'stay in this terminal until Ctrl-C' },
  TIMEOUT_FLAG
]

export interface CommandSpec {
  /** the words after `aspen` */
  readonly path: readonly [string] | readonly [string, string]
  readonly summary: string
  readonly description?: string
  /** `<required>` or `[optional]`, with what it is */
  readonly operands?: readonly (readonly [spec: string, about: string])[]
  /** of this command alone; `flagsOf` has all of them */
  readonly flags?: readonly FlagSpec[]
  /** at the end of its help */
  readonly footer?: string
  /** whether it is about a node of this machine, and takes the flags that say which; true when left out */
  readonly isAboutNode?: boolean
  /** left out on a command that only has subcommands */
  readonly run?: (invocation: Invocation) => Promise<number>
}

/** Every flag that the command takes: one that did nothing there would be a promise. */
export function flagsOf({ flags = [], isAboutNode = true }: CommandSpec): readonly FlagSpec[] {
  return [...flags, ...(isAboutNode ? PLACE_FLAGS : []), ...OUTPUT_FLAGS]
}

const STALE: FlagSpec = {
  spec: '--stale',
  about: "answer from this node's own copy, which may be behind; works without quorum"
}
const IF_REVISION: FlagSpec = {
  spec: '--if-revision <revision>',
  about: 'only if the key was last changed by this revision'
}
const DASHES = "Put -- before keys and values that start with '-'."

const NODE_COMMANDS: readonly CommandSpec[] = [
  {
    path: ['create'],
    summary: 'make a new cluster of one and print a ticket for the next machine',
    flags: START_FLAGS,
    footer: SETTINGS_HELP,
    run: async (invocation) => (await import('./start-commands.ts')).create(invocation)
  },
  {
    path: ['join'],
    summary: 'make this machine a member of the cluster that a ticket is for',
    description:
      'The ticket comes as an argument, from stdin (-), from --ticket-file or from ASPEN_TICKET.\n' +
      'Arguments can be seen by other users of the machine while the command runs.',
    operands: [['[ticket]', "the ticket, or '-' to read it from stdin"]],
    flags: [TICKET_FILE_FLAG, ...START_FLAGS],
    footer: SETTINGS_HELP,
    run: async (invocation) => (await import('./start-commands.ts')).join(invocation)
  },
  {
    path: ['start'],
    summary: 'start the node of this machine in the background',
    description:
      'With --uninitialized an empty folder becomes a node without a cluster: POST /cluster/init founds one on it, or\n' +
      "a peer lets it in after 'aspen members add' with its key. One that belongs to a cluster by now just starts.",
    flags: [
      { spec: '--uninitialized', about: 'wait for a cluster where the folder belongs to none' },
      PEERS_FLAG,
      ...START_FLAGS
    ],
    footer: SETTINGS_HELP,
    run: async (invocation) => (await import('./start-commands.ts')).start(invocation)
  },
  {
    path: ['stop'],
    summary: 'stop the node; it hands leadership over first',
    flags: [{ spec: '--force', about: 'kill it if it does not end in time' }, TIMEOUT_FLAG],
    run: async (invocation) => (await import('./stop-command.ts')).stop(invocation)
  },
  {
    path: ['logs'],
    summary: 'print the log of the node that runs in the background',
    flags: [
      { spec: '--follow|-f', about: 'go on with what is written from now on' },
      {
        spec: '--lines|-n <count>',
        about: 'how many of the last lines to begin with (default: 100)'
      }
    ],
    run: async (invocation) => (await import('./logs-command.ts')).logs(invocation)
  },
  {
    path: ['status'],
    summary: 'how this node and its cluster are; works without quorum',
    flags: [
      { spec: '--strict', about: 'exit 10 when one more failure would stop writes' },
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./status-commands.ts')).status(invocation)
  }
]

const TICKET_COMMANDS: readonly CommandSpec[] = [
  { path: ['ticket'], summary: 'make, list, revoke and read tickets' },
  {
    path: ['ticket', 'create'],
    summary: 'make a ticket that lets other machines join',
    flags: [
      {
        spec: '--role <role>',
        about: 'what joiners may become (default: voter)',
        choices: ['voter', 'learner']
      },
      { spec: '--ttl <duration>', about: 'how long it is valid (default: 24h)' },
      { spec: '--uses <count>', about: 'how many machines may use it (default: 16)' },
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./ticket-commands.ts')).createTicket(invocation)
  },
  {
    path: ['ticket', 'list'],
    summary: 'tickets that were made, open and closed',
    flags: [TIMEOUT_FLAG],
    run: async (invocation) => (await import('./ticket-commands.ts')).listTickets(invocation)
  },
  {
    path: ['ticket', 'revoke'],
    summary: 'end a ticket; members that it let in stay',
    operands: [['[ticket]', "its id as 'ticket list' shows it, its text, or '-' for stdin"]],
    flags: [{ spec: '--ticket-file <path>', about: 'a file that holds the ticket' }, TIMEOUT_FLAG],
    run: async (invocation) => (await import('./ticket-commands.ts')).revokeTicket(invocation)
  },
  {
    path: ['ticket', 'show'],
    summary: 'what a ticket says, without asking anybody and without its secret',
    operands: [['[ticket]', "the ticket, or '-' to read it from stdin"]],
    flags: [{ spec: '--ticket-file <path>', about: 'a file that holds the ticket' }],
    isAboutNode: false,
    run: async (invocation) => (await import('./ticket-show.ts')).showTicket(invocation)
  }
]

const KV_COMMANDS: readonly CommandSpec[] = [
  { path: ['kv'], summary: 'read and write keys' },
  {
    path: ['kv', 'put'],
    summary: 'write a key',
    description: DASHES,
    operands: [
      ['<key>', 'the key'],
      ['<value>', "the value, or '-' to read it from stdin as it is"]
    ],
    flags: [
      IF_REVISION,
      { spec: '--if-absent', about: 'only if there is no such key' },
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./kv-commands.ts')).put(invocation)
  },
  {
    path: ['kv', 'get'],
    summary: 'print the value of a key, byte for byte',
    description: `Exit code 3 when there is no such key. ${DASHES}`,
    operands: [['<key>', 'the key']],
    flags: [{ spec: '--meta', about: 'revisions and version on stderr' }, STALE, TIMEOUT_FLAG],
    run: async (invocation) => (await import('./kv-commands.ts')).get(invocation)
  },
  {
    path: ['kv', 'del'],
    summary: 'delete a key; no error when there is none',
    description: DASHES,
    operands: [['<key>', 'the key']],
    flags: [IF_REVISION, TIMEOUT_FLAG],
    run: async (invocation) => (await import('./kv-commands.ts')).del(invocation)
  },
  {
    path: ['kv', 'scan'],
    summary: 'list keys in byte order',
    description: DASHES,
    operands: [['[prefix]', 'only keys that start with this']],
    flags: [
      { spec: '--limit <count>', about: 'how many at most (default: 1000)' },
      { spec: '--after <key>', about: 'only keys after this one' },
      { spec: '--keys-only', about: 'keys without values' },
      STALE,
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./kv-commands.ts')).scan(invocation)
  }
]

const BACKUP_COMMANDS: readonly CommandSpec[] = [
  {
    path: ['backup'],
    summary: 'write everything that the cluster holds to a file, from any running node',
    description:
      'Keys, values and history as of one moment, while writes go on; no keys of nodes, no tickets, no secrets of\n' +
      'the cluster. The file is verified on its way and gets its name when it is whole.',
    operands: [['<file>', "the file to make, or '-' for stdout"]],
    flags: [
      { spec: '--force', about: 'replace the file if there is one' },
      {
        spec: '--stale',
        about: 'what this node has, which may be behind; works without quorum'
      },
      TIMEOUT_FLAG
    ],
    run: async (invocation) => (await import('./backup-command.ts')).backup(invocation)
  },
  {
    path: ['verify'],
    summary: 'whether a backup, or all that a stopped node has on its disk, is whole',
    description:
      'Without a file: log, database, snapshots and identity of the node here, which must not run. Every fault is\n' +
      'named, with what to do; exit code 9 when there is one.',
    operands: [['[file]', 'a backup, or a snapshot (.snap) of a node']],
    run: async (invocation) => (await import('./verify-command.ts')).verify(invocation)
  },
  {
    path: ['restore'],
    summary: 'make a new cluster of one from a backup and print a ticket',
    description:
      'The backup is verified first. Keys keep their values and revisions; new revisions go on above them. The\n' +
      'cluster has an id, keys and tickets of its own: nobody of the old one is a member, and the old one may go on.',
    operands: [['<file>', 'the backup']],
    flags: START_FLAGS,
    footer: SETTINGS_HELP,
    run: async (invocation) => (await import('./restore-command.ts')).restoreFrom(invocation)
  },
  {
    path: ['recover'],
    summary: 'when most voters are lost for good: what is left, and a new cluster from it',
    description:
      'Shows which members are in reach and what they have, and changes nothing. With --accept-loss the stopped node\n' +
      'here becomes a new cluster of one with all that its log holds, and the old node never starts again. Refused\n' +
      'while a majority is in reach.',
    flags: [
      { spec: '--accept-loss', about: 'do it' },
      {
        spec: '--force',
        about: 'also where another member has more, or a majority in reach has no leader'
      },
      LOG_LEVEL_FLAG,
      { ...TIMEOUT_FLAG, about: 'how long to look for members (default: 10s), and to wait' }
    ],
    run: async (invocation) => (await import('./recover-command.ts')).recoverHere(invocation)
  }
]

const CONFIG_COMMANDS: readonly CommandSpec[] = [
  { path: ['config'], summary: 'settings of a node: what counts, whether a file is right' },
  {
    path: ['config', 'show'],
    summary: 'all settings as a start would have them, of all layers',
    description:
      'The command line counts over the file, the file over the environment, that over what the node has recorded,\n' +
      'and that over the defaults. A node that runs has what counted when it was started.',
    flags: [
      {
        spec: '--origin',
        about: 'where each of them comes from: the file and its line, the variable, the flag'
      },
      ...SETTING_FLAGS,
      TICKET_FILE_FLAG
    ],
    run: async (invocation) => (await import('./config-command.ts')).showConfig(invocation)
  },
  {
    path: ['config', 'check'],
    summary: 'whether a file is right, together with the environment and what is recorded',
    operands: [['[file]', 'the file; else the one that a start would read']],
    run: async (invocation) => (await import('./config-command.ts')).checkConfigFile(invocation)
  },
  {
    path: ['config', 'template'],
    summary: 'a file to begin with: every setting, with what it is',
    isAboutNode: false,
    run: async (invocation) => (await import('./config-command.ts')).printTemplate(invocation)
  }
]

const OTHER_COMMANDS: readonly CommandSpec[] = [
  {
    path: ['dev'],
    summary: 'a whole cluster with its own private DHT in this terminal',
    flags: [
      { spec: '--nodes <count>', about: 'how many nodes (default: 3)' },
      {
        spec: '--data-dir <dir>',
        about: 'a folder that stays (default: one that goes at the end)'
      },
      { ...TIMING_FLAG, about: 'heartbeats and elections (default: lan)' },
      { ...LOG_LEVEL_FLAG, about: 'how much the nodes log (default: warn)' },
      TIMEOUT_FLAG
    ],
    isAboutNode: false,
    run: async (invocation) => (await import('./dev-command.ts')).dev(invocation)
  },
  {
    path: ['dht'],
    summary: 'a bootstrap node of a private DHT, for networks without internet',
    flags: [
      { spec: '--host <address>', about: 'IPv4 address to bind and to tell (default: 127.0.0.1)' },
      { spec: '--port <port>', about: 'UDP port, 0 for any (default: 49737)' }
    ],
    isAboutNode: false,
    run: async (invocation) => (await import('./dht-command.ts')).dht(invocation)
  },
  {
    path: ['token'],
    summary: "print the token of the node's HTTP API over TCP",
    description: 'On the Unix socket no token is asked for: who may open the file may ask.',
    run: async (invocation) => (await import('./api-commands.ts')).token(invocation)
  },
  {
    path: ['api'],
    summary: "print curl lines that ask the node's HTTP API, ready to paste",
    description:
      "'aspen api /leader' and 'aspen api POST /kv/read' print a line for the Unix socket and one for TCP. The token is\n" +
      'read from its file by the shell when the line runs. GET /openapi.json describes all routes.',
    operands: [
      ['[method]', 'GET, HEAD, POST, PUT or DELETE (default: GET)'],
      ['[path]', 'of the API, with its query (default: /status)']
    ],
    run: async (invocation) => (await import('./api-commands.ts')).api(invocation)
  },
  {
    path: ['version'],
    summary: 'the version of this program',
    isAboutNode: false,
    run: async (invocation) => (await import('./version-command.ts')).version(invocation)
  }
]

export const COMMANDS: readonly CommandSpec[] = [
  ...NODE_COMMANDS,
  ...CLUSTER_COMMANDS,
  ...TICKET_COMMANDS,
  ...KV_COMMANDS,
  ...BACKUP_COMMANDS,
  ...CONFIG_COMMANDS,
  ...OTHER_COMMANDS
]
