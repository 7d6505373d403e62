// What can be said of a cluster from those of its members that are in reach, before anything is done.
//
// What was acknowledged is on a majority of the voters. So where those in reach share a member with every
// majority, the one with the last entry (by term, then index) has all of it; where they do not, nobody knows.

import { AspenError, ConfigError } from '../errors.ts'
import type { Survey } from '../service/documents.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { plural, printable } from './text.ts'

export type SurveyedMember = Survey['members'][number]

export interface Prospect {
  readonly survey: Survey
  readonly self: SurveyedMember | null
  /** has the most of the log, of those in reach; this node where others have no more */
  readonly best: SurveyedMember | null
  readonly voterCount: number
  readonly voterCountInReach: number
  /** so many that they elect a leader, sooner or later, unless something is wrong with them */
  readonly isMajorityInReach: boolean
  /** whether something that was acknowledged may be with nobody in reach */
  readonly mayLoseAcknowledged: boolean
}

export function prospectOf(survey: Survey): Prospect {
  const { members } = survey
  const voters = members.filter((member) => member.role === 'voter')
  const inReach = voters.filter((member) => member.log !== null).length
  const majority = Math.floor(voters.length / 2) + 1
  const self = members.find((member) => member.is_self) ?? null
  const isChanging = members.some((member) => member.role === 'none')
  return {
    survey,
    self,
    best: members.reduce((best, member) => (hasMore(member, best) ? member : best), self),
    voterCount: voters.length,
    voterCountInReach: inReach,
    isMajorityInReach: inReach >= majority,
    mayLoseAcknowledged: isChanging || inReach + majority <= voters.length
  }
}

function hasMore(member: SurveyedMember, than: SurveyedMember | null): boolean {
  if (member.log === null) return false
  const other = than?.log ?? null
  if (other === null) return true
  const { last_term: term, last_index: index } = member.log
  return term > other.last_term || (term === other.last_term && index > other.last_index)
}

export interface RefusalOptions {
  readonly selector: string
  readonly isRunning: boolean
  readonly isForced: boolean
}

/** Why nothing is recovered from this node; null: it may be. */
export function refusalOf(prospect: Prospect, options: RefusalOptions): AspenError | null {
  const { survey, best, self, isMajorityInReach } = prospect
  const { selector, isRunning, isForced } = options
  if (survey.has_quorum || (isMajorityInReach && !isForced)) return reachable(prospect, options)
  if (isRunning) {
    return new AspenError({
      code: 'LOCKED',
      message: 'the node runs, and a recovery takes the place of one that does not',
      hint: `'aspen stop${selector}' first`
    })
  }
  if (best === null || best.id === self?.id || isForced) return null
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `node ${best.id} has more of the log than this one`,
    hint: 'recover there, or add --force to lose what only it has'
  })
}

/** Also where they have no leader: an election on a slow network takes longer than a look. */
function reachable({ survey }: Prospect, { selector, isRunning }: RefusalOptions): AspenError {
  const code = 'QUORUM_REACHABLE'
  const start = `'aspen start${selector}'`
  if (!survey.has_quorum) {
    return new AspenError({
      code,
      message: 'a majority of the voters is in reach, though nobody leads them yet',
      hint: `${isRunning ? '' : `${start} and `}wait; --force splits the cluster if it is only slow`
    })
  }
  return new AspenError({
    code,
    message: 'a majority of the voters is in reach, so the cluster is not lost',
    hint: isRunning ? 'nothing is to be done' : `${start} is all it needs`
  })
}

export interface LinesOptions {
  readonly style: Style
  readonly selector: string
  readonly isRunning: boolean
}

export function prospectLines(prospect: Prospect, options: LinesOptions): string[] {
  const { survey, voterCount, voterCountInReach, isMajorityInReach } = prospect
  const { style } = options
  const rows = survey.members.map((member) => cells(member, prospect, style))
  const reach = `${voterCountInReach} of ${plural(voterCount, 'voter')} in reach`
  const head = survey.has_quorum
    ? `${style.symbol('ok')} the cluster works${isMajorityInReach ? `, ${reach}` : ''}: nothing is to be recovered`
    : `${style.symbol('failure')} no quorum: ${reach}`
  const advice = survey.has_quorum ? [] : adviceLines(prospect, options)
  return [head, '', ...renderTable(COLUMNS, rows, style), ...advice]
}

const COLUMNS = [
  { title: 'ID', isNumber: true },
  { title: 'NAME' },
  { title: 'ROLE' },
  { title: 'TERM', isNumber: true },
  { title: 'LAST', isNumber: true },
  { title: 'COMMITTED', isNumber: true },
  { title: '' }
]

function cells(member: SurveyedMember, { best, survey }: Prospect, style: Style): string[] {
  const dash = style.symbol('dash')
  const { id, name, role, log } = member
  return [
    String(id),
    `${printable(name)}${member.is_self ? '*' : ''}`,
    role,
    log === null ? dash : String(log.last_term),
    log === null ? dash : String(log.last_index),
    log === null ? dash : String(log.commit_index),
    log === null ? 'out of reach' : id === best?.id && !survey.has_quorum ? 'most complete' : ''
  ]
}

function adviceLines(prospect: Prospect, { selector, isRunning }: LinesOptions): string[] {
  const { best, self, mayLoseAcknowledged, isMajorityInReach } = prospect
  if (isMajorityInReach) {
    const start = isRunning ? '' : `'aspen start${selector}', and `
    return [
      '',
      `  They are a majority, and will have a leader soon: ${start}ask again in a minute.`
    ]
  }
  const away = prospect.survey.members.filter(({ log, role }) => log === null && role === 'voter')
  const lackCount = Math.floor(prospect.voterCount / 2) + 1 - prospect.voterCountInReach
  const names = away.map(({ id, name }) => `${id} ${printable(name)}`.trim()).join(', ')
  const log = self?.log ?? null
  const isUncertain = log !== null && log.last_index > log.commit_index
  const command = `aspen recover --accept-loss${selector}`
  return [
    '',
    `  If ${lackCount === 1 ? 'any' : lackCount} of ${names} can be brought back, do that: the cluster goes on, and nothing is lost.`,
    mayLoseAcknowledged
      ? '  Else, writes that only they have are lost, acknowledged ones among them.'
      : '  Else, nothing that was acknowledged is lost: those in reach have all of it.',
    ...(isUncertain
      ? [
          `  Entries ${log.commit_index + 1} to ${log.last_index} of this node are not known to be committed. They would`,
          '  count: what somebody was told is done, and maybe what nobody was told.'
        ]
      : []),
    '  A recovery makes a new cluster of one: other id, other key, new tickets. Members of the old one join it',
    '  with a ticket from an empty folder; their old folders do not come in.',
    '',
    ...(best === null || best.id === self?.id
      ? [isRunning ? `    aspen stop${selector} && ${command}` : `    ${command}`]
      : [`  Recover on node ${best.id}, which has the most.`])
  ]
}

/** The documented fields. */
export function prospectDocument(prospect: Prospect): object {
  const { survey, best, self, mayLoseAcknowledged } = prospect
  const log = self?.log ?? null
  const isUncertain = log !== null && log.last_index > log.commit_index
  return {
    ...survey,
    most_complete: best?.id ?? null,
    may_lose_acknowledged: !survey.has_quorum && mayLoseAcknowledged,
    uncertain: isUncertain ? { from: log.commit_index + 1, to: log.last_index } : null
  }
}
