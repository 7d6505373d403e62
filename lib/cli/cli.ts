// The command line. Reads the arguments, runs one command, and gives the exit code; everything that
// goes wrong ends here as one line and a code from the table in errors.ts. The commands themselves
// are in files of their own and are loaded when they run (command-specs.ts).

import { arg, bail, command, description, flag, summary } from 'paparam'
import type { Bail, Command } from 'paparam'
import { present } from '../assert.ts'
import { asAspenError, ConfigError, EXIT } from '../errors.ts'
import { markOperands, unmark } from './argv.ts'
import type { CommandSpec } from './command-specs.ts'
import { COMMANDS } from './command-specs.ts'
import type { FlagSpec } from './flags.ts'
import { Flags, SHARED_FLAGS } from './flags.ts'
import type { Host } from './invocation.ts'
import { Output } from './output.ts'
import { printable } from './text.ts'

/**
 * Runs `aspen` with these arguments (without `node` and the script).
 * @returns the exit code; never throws
 */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  const bailed: Bail[] = []
  const tree = new CommandTree((reason) => bailed.push(reason))
  if (argv.length === 0) {
    host.stdout.write(tree.root.help())
    return EXIT.ok
  }
  if (argv[0] === 'help') return tree.help(argv.slice(1), host)
  if (argv[0] === '--version') return main(['version', ...argv.slice(1)], host)
  const parsed = tree.root.parse(markOperands(argv), { run: false })
  const reason = bailed[0]
  if (reason !== undefined) return usageError(reason, outputFor(argv, host))
  if (parsed === null) return EXIT.ok // --help was printed
  return runCommand(tree, parsed, host)
}

async function runCommand(tree: CommandTree, parsed: Command, host: Host): Promise<number> {
  const flags = new Flags(parsed.flags)
  const name = pathOf(parsed)
  const output = outputOf(flags, host)
  const run = tree.specOf(parsed)?.run
  if (run === undefined) {
    const names = tree.subcommandsOf(parsed).join(', ')
    return usageLine({ message: `${name} needs one of: ${names}`, name, output })
  }
  const args: Record<string, string> = {}
  for (const [key, value] of Object.entries(parsed.args)) {
    if (value !== undefined) args[key] = unmark(value)
  }
  try {
    return await run({ command: name, args, flags, output, host })
  } catch (error) {
    return output.failure(asAspenError(error))
  }
}

/** The commands as paparam sees them. */
class CommandTree {
  readonly root: Command
  readonly #specs = new Map<Command, CommandSpec>()

  constructor(onBail: (reason: Bail) => void) {
    const groups = COMMANDS.filter((spec) => spec.path.length === 1)
    const commands = groups.map((spec) => this.#build(spec))
    this.root = command(
      'aspen',
      summary(
        "A strongly consistent key-value store of your own machines. 'aspen help <command>' tells more."
      ),
      ...commands,
      command('help', summary('what a command does and takes'), arg('[command]', 'the command')),
      bail(onBail)
    )
  }

  specOf(parsed: Command): CommandSpec | undefined {
    return this.#specs.get(parsed)
  }

  subcommandsOf(parsed: Command): string[] {
    const specs =
      parsed === this.root ? COMMANDS : COMMANDS.filter((spec) => spec.path[0] === parsed.name)
    return specs.flatMap((spec) => (parsed === this.root ? [spec.path[0]] : spec.path.slice(1)))
  }

  help(words: readonly string[], host: Host): number {
    const names = words.filter((word) => !word.startsWith('-'))
    const isKnown =
      names.length === 0 ||
      COMMANDS.some((spec) => spec.path.join(' ') === names.join(' ')) ||
      names.join(' ') === 'help'
    if (!isKnown) {
      const output = outputFor(words, host)
      return usageLine({
        message: `there is no command '${names.join(' ')}'`,
        name: 'aspen',
        output
      })
    }
    host.stdout.write(this.root.help(...names))
    return EXIT.ok
  }

  #build(spec: CommandSpec): Command {
    const subcommands = COMMANDS.filter(
      (other) => other.path.length === 2 && spec.path.length === 1 && other.path[0] === spec.path[0]
    )
    const built = command(
      present(spec.path.at(-1), 'a name'),
      summary(spec.summary),
      ...(spec.description === undefined ? [] : [description(spec.description)]),
      ...(spec.operands ?? []).map(([operand, about]) => arg(operand, about)),
      ...(subcommands.length === 0 ? [...(spec.flags ?? []), ...SHARED_FLAGS].map(flagOf) : []),
      ...subcommands.map((subcommand) => this.#build(subcommand))
    )
    this.#specs.set(built, spec)
    return built
  }
}

function flagOf(spec: FlagSpec): ReturnType<typeof flag> {
  const made = flag(spec.spec, spec.about)
  if (spec.choices !== undefined) made.choices([...spec.choices])
  return spec.isRepeatable === true ? made.multiple() : made
}

function pathOf(parsed: Command): string {
  const names: string[] = []
  for (let at: Command | null = parsed; at !== null && at.parent !== null; at = at.parent) {
    names.unshift(at.name)
  }
  return names.join(' ')
}

function outputOf(flags: Flags, { env, stdout, stderr }: Host): Output {
  return new Output({
    env,
    stdout,
    stderr,
    isJson: flags.isSet('json'),
    isQuiet: flags.isSet('quiet'),
    isColourWanted: flags.isSet('color')
  })
}

/** Output for arguments that could not be parsed. */
function outputFor(argv: readonly string[], host: Host): Output {
  const end = argv.indexOf('--')
  const words = end === -1 ? argv : argv.slice(0, end)
  return outputOf(
    new Flags({ json: words.includes('--json'), color: !words.includes('--no-color') }),
    host
  )
}

function usageError(reason: Bail, output: Output): number {
  return usageLine({ message: usageMessage(reason), name: pathOf(reason.command), output })
}

function usageLine(usage: {
  readonly message: string
  readonly name: string
  readonly output: Output
}): number {
  const { message, name, output } = usage
  const help = name === '' || name === 'aspen' ? 'aspen help' : `aspen help ${name}`
  const error = new ConfigError({
    code: 'CONFIG_INVALID',
    message: printable(message),
    hint: `see ${help}`
  })
  if (output.isJson) return output.failure(error)
  const code = output.failure(new ConfigError({ code: 'CONFIG_INVALID', message: error.message }))
  output.note(`see ${help}`)
  return code
}

function usageMessage({ reason, flag: badFlag, arg: badArg, command: at }: Bail): string {
  const flagText =
    badFlag === null ? '' : `${badFlag.name.length === 1 ? '-' : '--'}${badFlag.name}`
  const argText = badArg === null ? '' : unmark(badArg.value)
  switch (reason) {
    case 'UNKNOWN_FLAG':
      return `there is no flag ${flagText}`
    case 'INVALID_FLAG':
      return invalidFlagMessage(flagText)
    case 'MISSING_ARG':
      return `${argText} is missing`
    case 'UNKNOWN_ARG':
      return COMMANDS.some((spec) => spec.path.length === 2 && spec.path[0] === at.name) ||
        at.parent === null
        ? `there is no command '${argText.split(' ')[0] ?? ''}'`
        : `'${argText.split(' ')[0] ?? ''}' is one argument too many`
    default:
      return reason
  }
}

function invalidFlagMessage(flagText: string): string {
  const specs = [...COMMANDS.flatMap((command_) => command_.flags ?? []), ...SHARED_FLAGS]
  const spec = specs.find((candidate) => candidate.spec.split(/[| ]/).includes(flagText))
  if (spec?.choices !== undefined) return `${flagText} takes one of: ${spec.choices.join(', ')}`
  return spec?.spec.includes('<') === true
    ? `${flagText} needs a value`
    : `${flagText} takes no value`
}
