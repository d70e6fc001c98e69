/**
 * What is remembered of a snapshot under way, in the metadata value `snapshot_job` as VDSM has it (JSON): enough for the
 * next agent to thaw the guest and to say how the job ended. Pure.
 */

export interface SnapshotRecord {
  readonly jobId: string;
  /** Whose job it is; see agent-identity.ts. */
  readonly agent: string;
  /** Wall clock, epoch seconds, after which it is aborted. */
  readonly untilSec: number;
  /** The guest may be frozen by us. */
  readonly frozen: boolean;
  /** New file by target name. */
  readonly files: Readonly<Record<string, string>>;
}

const MAX_FILES = 1000;

export function snapshotRecordText({ jobId, agent, untilSec, frozen, files }: SnapshotRecord): string {
  return JSON.stringify({ jobUUID: jobId, agent, until: untilSec, frozen, files });
}

/** Undefined for what this agent has not written. */
export function parseSnapshotRecord(text: string): SnapshotRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { jobUUID, agent, until, frozen, files } = value as Readonly<Record<string, unknown>>;
  if (typeof jobUUID !== 'string' || jobUUID === '' || typeof until !== 'number') return undefined;
  if (typeof agent !== 'string' || typeof frozen !== 'boolean' || !isFiles(files)) return undefined;
  return { jobId: jobUUID, agent, untilSec: until, frozen, files };
}

function isFiles(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const paths: unknown[] = Object.values(value);
  return paths.length <= MAX_FILES && paths.every((path) => typeof path === 'string');
}
