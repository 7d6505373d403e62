// The command line. Reads the arguments, runs one command, and gives the exit code; everything that
// goes wrong ends here as one line and a code from the table in errors.ts. The commands themselves
// are in files of their own and are loaded when they run (command-specs.ts).

import { arg, bail, command, description, flag, summary } from 'paparam'
import type { Bail, Command } from 'paparam'
import { present } from '../assert.ts'
import { asAspenError, ConfigError, EXIT } from '../errors.ts'
import { closest } from '../config/closest.ts'
import type { ConfigFile } from '../config/toml-file.ts'
import { namedPath } from '../config/place.ts'
import { retiredError } from '../config/refusals.ts'
import { markOperands, unmark } from './argv.ts'
import type { CommandSpec } from './command-specs.ts'
import { COMMANDS, flagsOf } from './command-specs.ts'
import type { FlagSpec } from './flags.ts'
import { flagName, Flags } from './flags.ts'
import { wrapHelp } from './help.ts'
import type { Host } from './invocation.ts'
import { Output } from './output.ts'
import { commandLike } from './suggest.ts'
import { printable } from './text.ts'

/**
 * Runs `aspen` with these arguments (without `node` and the script).
 * @returns the exit code; never throws
 */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  const bailed: Bail[] = []
  const tree = new CommandTree((reason) => bailed.push(reason))
  if (argv.length === 0) return tree.help([], host)
  if (argv[0] === 'help') return tree.help(argv.slice(1), host)
  if (argv[0] === '--version' || argv[0] === '-v') return main(['version', ...argv.slice(1)], host)
  const parsed = tree.root.parse(markOperands(argv), { run: false, silent: true })
  const reason = bailed[0]
  if (reason !== undefined) return usageError(reason, outputFor(argv, host))
  if (parsed === null) return tree.help(commandWords(argv), host)
  const twice = typedTwice(argv, tree.specOf(parsed))
  if (twice === null) return runCommand(tree, parsed, host)
  return usageLine({ message: twice, name: pathOf(parsed), output: outputFor(argv, host) })
}

/** What to say of a flag that was given two values; null where none was. */
function typedTwice(argv: readonly string[], spec: CommandSpec | undefined): string | null {
  const end = argv.indexOf('--')
  const typed = (end === -1 ? argv : argv.slice(0, end)).map((text) => text.split('=')[0] ?? text)
  for (const { spec: text, isRepeatable = false } of spec === undefined ? [] : flagsOf(spec)) {
    const [words = ''] = text.split(' ')
    const names = words.split('|')
    const isSwitch = !text.includes(' ')
    if (isRepeatable) continue
    const positive = typed.filter((word) => names.includes(word)).length
    const negative = typed.filter((word) => names.includes(word.replace('--no-', '--'))).length
    if (isSwitch ? positive > 0 && negative > positive : positive > 1) {
      return `${names[0]} is given twice`
    }
  }
  return null
}

async function runCommand(tree: CommandTree, parsed: Command, host: Host): Promise<number> {
  const flags = new Flags(parsed.flags, (word) => isTyped(parsed, word))
  const name = pathOf(parsed)
  const output = outputOf(flags, host)
  const spec = tree.specOf(parsed)
  const run = spec?.run
  if (run === undefined) {
    const names = tree.subcommandsOf(parsed).join(', ')
    return usageLine({ message: `${name} needs one of: ${names}`, name, output })
  }
  const args: Record<string, string> = {}
  for (const [key, value] of Object.entries(parsed.args)) {
    if (value !== undefined) args[key] = unmark(value)
  }
  try {
    const named = spec?.isAboutNode === false ? null : await namedFile(flags, host)
    return await run({ command: name, args, flags, output, host, named })
  } catch (error) {
    return output.failure(asAspenError(error))
  }
}

/** Whether the flag was there, whatever its default is. */
function isTyped({ indices }: Command, word: string): boolean {
  return Object.hasOwn(indices.flags, word) || Object.hasOwn(indices.flags, flagName(word).slice(2))
}

/** The file that was named. The parser of TOML is loaded only where there is one. */
async function namedFile(flags: Flags, { env }: Host): Promise<ConfigFile | null> {
  const path = namedPath(flags.text('config'), env)
  if (path === null) return null
  const { readConfigFile } = await import('../config/toml-file.ts')
  return readConfigFile(path)
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
      const [first = '', second] = names
      const like = second === undefined ? commandLike(first, null) : commandLike(second, first)
      return usageLine({
        message: `there is no command '${names.join(' ')}'${didYouMean(like)}`,
        name: 'aspen',
        output
      })
    }
    const { width } = outputFor([], host).style
    const { footer } = COMMANDS.find(({ path }) => path.join(' ') === names.join(' ')) ?? {}
    const text = `${this.root.help(...names)}${footer === undefined ? '' : `\n${footer}\n`}`
    host.stdout.write(wrapHelp(text, width))
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
      ...(subcommands.length === 0 || spec.run !== undefined ? flagsOf(spec).map(flagOf) : []),
      ...subcommands.map((subcommand) => this.#build(subcommand))
    )
    this.#specs.set(built, spec)
    return built
  }
}

/** The words of the command at the beginning of arguments that were understood. */
function commandWords(argv: readonly string[]): readonly string[] {
  const paths = COMMANDS.map((spec) => spec.path)
  const path = paths.findLast((words) => words.every((word, at) => argv[at] === word))
  return path ?? []
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
  const retired = reason.flag === null ? null : retiredError('flag', `--${reason.flag.name}`)
  if (retired !== null) return output.failure(retired)
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
      return `there is no flag ${flagText}${didYouMean(flagLike(flagText, at))}`
    case 'INVALID_FLAG':
      return invalidFlagMessage(flagText)
    case 'MISSING_ARG':
      return `${argText} is missing`
    case 'UNKNOWN_ARG':
      return unknownWordMessage(argText.split(' ')[0] ?? '', at)
    default:
      return reason
  }
}

function unknownWordMessage(word: string, at: Command): string {
  const isGroup = COMMANDS.some((spec) => spec.path.length === 2 && spec.path[0] === at.name)
  if (!isGroup && at.parent !== null) return `'${word}' is one argument too many`
  const like = commandLike(word, at.parent === null ? null : at.name)
  return `there is no command '${word}'${didYouMean(like)}`
}

/** A flag of the command that is a slip away, or null. */
function flagLike(flagText: string, at: Command): string | null {
  const spec = COMMANDS.find((candidate) => candidate.path.join(' ') === pathOf(at))
  const known = spec === undefined ? [] : flagsOf(spec)
  const names = known.map((flagSpec) => flagSpec.spec.split(/[| ]/)[0] ?? '')
  return closest(flagText, names)
}

function didYouMean(like: string | null): string {
  if (like === null) return ''
  return like.startsWith('-') ? `: did you mean ${like}?` : `: did you mean 'aspen ${like}'?`
}

function invalidFlagMessage(flagText: string): string {
  const specs = COMMANDS.flatMap(flagsOf)
  const spec = specs.find((candidate) => candidate.spec.split(/[| ]/).includes(flagText))
  if (spec?.choices !== undefined) return `${flagText} takes one of: ${spec.choices.join(', ')}`
  return spec?.spec.includes('<') === true
    ? `${flagText} needs a value`
    : `${flagText} takes no value`
}
