/**
 * A management engine as tests need it: follows one agent as an engine does, and compares its table with the truth.
 *
 * It takes every record through an engine's type casts (engine-record.ts), so that a record that would void a real
 * engine's poll fails the test; and it remembers each VM's statuses in order.
 */
import assert from 'node:assert/strict';
import { nicRates } from '../../src/client/vm-figures.js';
import type { VmRecord } from '../../src/client/vm-figures.js';
import { VmMonitor } from '../../src/client/vm-monitor.js';
import type { VdsmClient } from '../../src/client/client.js';
import type { VmChange } from '../../src/client/vm-table.js';
import { recordFaults } from './engine-record.js';

/** What the hypervisor says: status groups by VM id, see statusGroup. */
export type Truth = ReadonlyMap<string, StatusGroup>;
export type StatusGroup = 'running' | 'paused' | 'off';

export interface FakeEngineOptions {
  /** Pause between polls; an engine's 15 s is too long for most tests. */
  readonly pollIntervalMs?: number;
  /** VMs that the comparison with the truth is about; default all. Other people's VMs may run on the host. */
  readonly concerns?: (vmId: string) => boolean;
}

export class FakeEngine {
  readonly monitor: VmMonitor;
  /** All changes of the table, oldest first. */
  readonly changes: VmChange[] = [];
  /** Records that an engine could not read, and polls that failed for another reason than recovery. */
  readonly faults: string[] = [];
  readonly #watchers = new Set<() => void>();
  #polls = 0;
  #resumptions = 0;
  #lastRecords = new Map<string, VmRecord>();
  readonly #concerns: (vmId: string) => boolean;

  constructor(address: string, options: FakeEngineOptions = {}) {
    this.#concerns = options.concerns ?? (() => true);
    this.monitor = new VmMonitor(address, {
      pollIntervalMs: options.pollIntervalMs ?? 1000,
      maxRetryMs: 500,
    });
    this.monitor.addListener({
      change: (change) => {
        this.changes.push(change);
        this.#wake();
      },
      synchronised: ({ resumed }) => {
        if (resumed) this.#resumptions++;
        this.#wake();
      },
      disconnected: () => this.#wake(),
      polled: (records) => this.#polled(records),
      pollFailed: (error) => {
        if (!error.message.includes('Recovering')) this.faults.push(`poll: ${error.message}`);
      },
    });
  }

  /** Connects, and resolves when table and first poll are there. */
  async start(timeoutMs = 30_000): Promise<this> {
    this.monitor.start();
    await this.until('synchronised', () => this.monitor.synchronised && this.#polls > 0, timeoutMs);
    return this;
  }

  async stop(): Promise<void> {
    await this.monitor.stop();
  }

  get polls(): number {
    return this.#polls;
  }

  /** Reconnections after which the agent could say what was missed. */
  get resumptions(): number {
    return this.#resumptions;
  }

  /** The open connection, for verbs. */
  get client(): VdsmClient {
    const { client } = this.monitor;
    if (!client) throw new Error('the engine is not connected');
    return client;
  }

  /** Statuses of one VM in the order the engine learnt them; undefined: vanished. */
  transitions(vmId: string): (string | undefined)[] {
    return this.changes.filter((change) => change.vmId === vmId).map((change) => change.to);
  }

  /** Resolves as soon as the condition holds after some change; fails with `what` and the time when it never does. */
  async until(what: string, condition: () => boolean, timeoutMs = 30_000): Promise<void> {
    let watch: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        watch = () => {
          if (condition()) resolve();
        };
        this.#watchers.add(watch);
        timer = setTimeout(() => reject(new Error(`not ${what} within ${timeoutMs / 1000} s`)), timeoutMs);
        watch();
      });
    } finally {
      clearTimeout(timer);
      if (watch) this.#watchers.delete(watch);
    }
  }

  async untilStatus(vmId: string, status: string | undefined, timeoutMs?: number): Promise<void> {
    const there = (): boolean => this.monitor.vms.get(vmId)?.status === status;
    await this.until(`${vmId} ${status ?? 'gone'}`, there, timeoutMs);
  }

  /** Resolves when the table equals the truth, which is asked for anew each time it does not. */
  async untilEquals(truth: () => Promise<Truth> | Truth, timeoutMs = 30_000): Promise<void> {
    const giveUpAt = performance.now() + timeoutMs;
    for (;;) {
      const [now, version] = [await truth(), this.changes.length];
      if (this.#differences(now).length === 0) return;
      if (performance.now() > giveUpAt) this.assertTableEquals(now);
      const changed = (): boolean => this.changes.length > version;
      await this.until('changed', changed, 250).catch(() => undefined);
    }
  }

  /** Fails with every difference between table and truth. VMs that are off may be Down or absent on either side. */
  assertTableEquals(truth: Truth): void {
    assert.deepEqual(this.#differences(truth), [], 'table and truth differ');
  }

  /** Fails where the agent sent what an engine cannot read, or left a hole in its events. */
  assertCleanRecord(): void {
    assert.deepEqual(this.faults, []);
    assert.equal(this.monitor.gaps, 0, 'holes in the numbers of events');
  }

  #differences(truth: Truth): string[] {
    const ids = new Set([...truth.keys(), ...this.monitor.vms.keys()]);
    return [...ids].filter(this.#concerns).flatMap((id) => {
      const status = this.monitor.vms.get(id)?.status;
      const [told, real] = [statusGroup(status), truth.get(id) ?? 'off'];
      return told === real ? [] : [`${id}: engine has ${status ?? 'nothing'}, truth is ${real}`];
    });
  }

  #polled(records: readonly unknown[]): void {
    this.#polls++;
    for (const record of records as VmRecord[]) {
      const id = String(record['vmId']);
      this.faults.push(...recordFaults(record).map((fault) => `${id}: ${fault}`));
      const rates = nicRates(this.#lastRecords.get(id) ?? {}, record);
      for (const { name, rxBytesPerSec } of rates) {
        if (rxBytesPerSec > 1e12) this.faults.push(`${id}: ${name} receives ${rxBytesPerSec} B/s`);
      }
    }
    this.#lastRecords = new Map((records as VmRecord[]).map((record) => [String(record['vmId']), record]));
    this.#wake();
  }

  #wake(): void {
    for (const watch of [...this.#watchers]) watch();
  }
}

/** Engine statuses as far as the hypervisor can confirm them. */
export function statusGroup(status: string | undefined): StatusGroup {
  if (status === undefined || status === 'Down') return 'off';
  return status === 'Paused' ? 'paused' : 'running';
}

/** Truth from the output of `virsh list --all` with `--uuid` and `--name` left out: two columns, id and state. */
export function truthFromStates(states: Iterable<readonly [vmId: string, virshState: string]>): Truth {
  const group = (state: string): StatusGroup => {
    if (state === 'paused') return 'paused';
    return state === 'running' || state === 'idle' || state === 'in shutdown' ? 'running' : 'off';
  };
  return new Map([...states].map(([id, state]) => [id, group(state)]));
}
