/**
 * Counts the samples that healthy VMs lose, from outside: a running VM's CPU counter moves all the time, so a record
 * whose `cpuUsage` stands still longer than a period, the shard deadline and the pause between two polls is old.
 */

/** Statuses under which a VM is sampled and its CPUs run. */
const live: ReadonlySet<string> = new Set(['Up', 'Powering up', 'RebootInProgress', 'Powering down']);

interface Seen {
  value: string;
  changedMs: number;
}

export interface PolledRecord {
  readonly vmId: string;
  readonly status: string;
  readonly cpuUsage?: string;
}

export class Witness {
  lost = 0;
  /** Of a healthy VM's sample, ms. */
  worstAgeMs = 0;
  samples = 0;
  readonly #seen = new Map<string, Seen>();
  readonly #excused = new Map<string, number>();
  #allExcusedMs = 0;

  constructor(private readonly limits: { readonly periodMs: number; readonly slackMs: number }) {}

  /** The VM is not expected to be sampled before that time; the last word counts. */
  excuse(id: string, untilMs: number): void {
    this.#excused.set(id, untilMs);
  }

  excuseAll(untilMs: number): void {
    this.#allExcusedMs = untilMs;
  }

  /** @param nowMs when the poll was asked for: what it answers is not younger */
  polled(records: readonly PolledRecord[], nowMs: number): void {
    const { periodMs, slackMs } = this.limits;
    for (const { vmId, status, cpuUsage = '' } of records) {
      const seen = this.#seen.get(vmId);
      const excused = nowMs < this.#allExcusedMs || nowMs < (this.#excused.get(vmId) ?? 0);
      if (!seen || excused || !live.has(status)) {
        this.#seen.set(vmId, { value: cpuUsage, changedMs: nowMs });
        continue;
      }
      const ageMs = nowMs - seen.changedMs;
      this.worstAgeMs = Math.max(this.worstAgeMs, ageMs);
      if (seen.value === cpuUsage) continue;
      this.samples++;
      if (ageMs > periodMs + slackMs) this.lost += Math.max(1, Math.round(ageMs / periodMs) - 1);
      seen.value = cpuUsage;
      seen.changedMs = nowMs;
    }
  }
}
