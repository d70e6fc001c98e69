/**
 * Which process of an agent something belongs to, and whether it still runs: what an agent has left open must not be
 * taken for left by one that is at work beside this one.
 */
import { readFileSync } from 'node:fs';

export interface AgentIdentity {
  /** Of this process: unique as long as the host runs. */
  readonly self: string;
  /** False for the text of anything else than a process that runs, or of this one. */
  isOtherRunning(identity: string): boolean;
}

/** `pid:ticks`: process ids are used again, start times are not. */
export const hostAgentIdentity: AgentIdentity = {
  self: `${process.pid}:${startTicksOf(process.pid) ?? 0}`,
  isOtherRunning(identity) {
    const [, pid = '', ticks] = /^(\d{1,10}):(\d+)$/.exec(identity) ?? [];
    return identity !== this.self && startTicksOf(Number(pid)) === ticks && ticks !== undefined;
  },
};

/** Field 22 of /proc/<pid>/stat; the name before it may hold anything. */
function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
