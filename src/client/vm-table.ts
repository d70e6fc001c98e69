/**
 * An engine's table of one host's VMs, and the rules by which news of three kinds change it. Pure: no I/O, no clock.
 *
 * - A snapshot (the answer to Agent.subscribe) replaces everything: it is where the order of events starts anew.
 * - An event overrides the fields it carries; one that is older than what is known of the VM is skipped.
 * - A poll's record replaces the VM's record unless it is older, or the VM changed after the poll was asked for. A VM
 *   that the poll lacks is gone, with the same exception. A record without status counts as Down, as an engine
 *   takes it.
 */

export interface VmEntry {
  readonly vmId: string;
  readonly status: string;
  /** The host's clock (2^31-1 + CLOCK_MONOTONIC, ms) when this was true: statusTime or notify_time. */
  readonly timeMs: number;
  /** The last polled record with the fields of later events laid over it. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export type NewsSource = 'snapshot' | 'event' | 'poll';

/** A status change, an appearance (`from` undefined) or a disappearance (`to` undefined). */
export interface VmChange {
  readonly vmId: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly source: NewsSource;
  /** As VmEntry.timeMs; for a disappearance the last time known. */
  readonly timeMs: number;
  /** What the news said of the VM: exitCode, pauseCode and the like. */
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Row extends VmEntry {
  /** Value of the table's counter when an event or a snapshot last wrote this row. */
  readonly toldAt: number;
}

export class VmTable {
  readonly #rows = new Map<string, Row>();
  #counter = 0;
  #skipped = 0;

  get vms(): ReadonlyMap<string, VmEntry> {
    return this.#rows;
  }

  /** Take it before asking for a poll, hand it to applyPoll. */
  get mark(): number {
    return this.#counter;
  }

  /** News that were older than what was known already. */
  get skipped(): number {
    return this.#skipped;
  }

  /** @throws TypeError for an element without vmId; the table is unchanged then */
  applySnapshot(records: readonly unknown[]): VmChange[] {
    const parsed = records.map(parseRecord);
    const mark = ++this.#counter;
    const changes = this.#removeMissing(parsed, 'snapshot', () => true);
    for (const record of parsed) {
      const before = this.#rows.get(record.vmId);
      changes.push(...this.#write(record, { ...before?.fields, ...record.fields }, 'snapshot', mark));
    }
    return changes;
  }

  /** @param params of `|virt|VM_status|…`: every key but notify_time is a VM's id */
  applyEvent(params: Readonly<Record<string, unknown>>): VmChange[] {
    const timeMs = asTime(params['notify_time']);
    const mark = ++this.#counter;
    const changes: VmChange[] = [];
    for (const [vmId, payload] of Object.entries(params)) {
      if (vmId === 'notify_time' || !isObject(payload)) continue;
      const before = this.#rows.get(vmId);
      if (before !== undefined && timeMs < before.timeMs) {
        this.#skipped++;
        continue;
      }
      const status = typeof payload['status'] === 'string' ? payload['status'] : (before?.status ?? 'Down');
      const record = { vmId, status, timeMs, fields: payload };
      changes.push(...this.#write(record, { ...before?.fields, ...payload, status }, 'event', mark));
    }
    return changes;
  }

  /**
   * @param asked `mark` as it was when the poll was sent
   * @throws TypeError for an element without vmId: it voids the whole poll, as it does in an engine
   */
  applyPoll(records: readonly unknown[], asked: number): VmChange[] {
    const parsed = records.map(parseRecord);
    const changes = this.#removeMissing(parsed, 'poll', (row) => row.toldAt <= asked);
    for (const record of parsed) {
      const before = this.#rows.get(record.vmId);
      if (before !== undefined && (record.timeMs < before.timeMs || before.toldAt > asked)) {
        this.#skipped++;
        continue;
      }
      changes.push(...this.#write(record, record.fields, 'poll', before?.toldAt ?? 0));
    }
    return changes;
  }

  #write(record: VmEntry, fields: VmEntry['fields'], source: NewsSource, toldAt: number): VmChange[] {
    const { vmId, status, timeMs } = record;
    const from = this.#rows.get(vmId)?.status;
    this.#rows.set(vmId, { vmId, status, timeMs, fields, toldAt });
    return from === status ? [] : [{ vmId, from, to: status, source, timeMs, fields: record.fields }];
  }

  #removeMissing(present: readonly VmEntry[], source: NewsSource, mayGo: (row: Row) => boolean): VmChange[] {
    const ids = new Set(present.map((record) => record.vmId));
    const gone = [...this.#rows.values()].filter((row) => !ids.has(row.vmId) && mayGo(row));
    return gone.map(({ vmId, status, timeMs }) => {
      this.#rows.delete(vmId);
      return { vmId, from: status, to: undefined, source, timeMs, fields: {} };
    });
  }
}

function parseRecord(record: unknown): VmEntry {
  if (!isObject(record) || typeof record['vmId'] !== 'string') {
    throw new TypeError('a VM record without vmId');
  }
  const status = typeof record['status'] === 'string' ? record['status'] : 'Down';
  return { vmId: record['vmId'], status, timeMs: asTime(record['statusTime']), fields: record };
}

/** Text in records, a number in events; -1 where missing or unreadable, as an engine has it. */
function asTime(value: unknown): number {
  const time = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof time === 'number' && Number.isFinite(time) ? time : -1;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
