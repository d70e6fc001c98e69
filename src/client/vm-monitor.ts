/**
 * An engine's live view of one agent: a table of VMs, kept true by events and by a periodic poll.
 *
 * How it works:
 * 1. connect; where that fails, try again with growing pauses until stop();
 * 2. subscribe, resuming from the last event seen: the agent answers what was missed, or a snapshot;
 * 3. apply events in the order of their numbers; a hole in the numbers leads back to 2, for a snapshot;
 * 4. poll Host.getAllVmStats at once and then `pollIntervalMs` after each answer; an agent that does not answer in
 *    time is taken for lost, and 1 begins anew.
 *
 * vm-table.ts has the rules of merging, event-order.ts those of order. The table outlives the connection: while
 * `synchronised` is false it shows what was last known.
 */
import type { EventPosition } from '../protocol/schema-types.js';
import { tellAll } from '../util/listeners.js';
import { systemClock } from '../util/time.js';
import type { Clock } from '../util/time.js';
import { VdsmClient } from './client.js';
import type { AgentEventMessage, ConnectOptions } from './client.js';
import { ConnectionError, VdsmError } from './errors.js';
import { EventOrder, parseSubscribeReply } from './event-order.js';
import type { Ordered } from './event-order.js';
import { VmTable } from './vm-table.js';
import type { VmChange, VmEntry } from './vm-table.js';

export type { VmChange, VmEntry } from './vm-table.js';

export interface VmMonitorOptions {
  /** Pause between an answer and the next poll; default 15 s, an engine's. 0: never poll. */
  readonly pollIntervalMs?: number;
  /** Deadline of subscription and poll; default 30 s. */
  readonly callTimeoutMs?: number;
  /** First pause before connecting again, doubled at each failure; default 250 ms. */
  readonly minRetryMs?: number;
  /** Longest pause; default 15 s. */
  readonly maxRetryMs?: number;
  readonly clock?: Clock;
  readonly tls?: ConnectOptions['tls'];
}

/** All optional; called in the order of what happened. */
export interface VmMonitorListener {
  /** A status changed, a VM appeared or vanished. */
  change?(change: VmChange): void;
  /** Each event in order, those that were missed and replayed included. */
  event?(event: AgentEventMessage): void;
  /** Subscribed. `resumed`: nothing was lost since the last connection; `missed` events were replayed. */
  synchronised?(info: { readonly resumed: boolean; readonly missed: number }): void;
  /** The records of a poll, before they were merged. */
  polled?(records: readonly unknown[]): void;
  /** A poll that was answered with an error or with something that is no list of records. */
  pollFailed?(error: Error): void;
  /** Not connected, or no longer; tries again after `retryInMs`. */
  disconnected?(info: { readonly error: Error; readonly retryInMs: number }): void;
}

export class VmMonitor {
  readonly #table = new VmTable();
  readonly #order = new EventOrder();
  readonly #listeners = new Set<VmMonitorListener>();
  readonly #stopping = new AbortController();
  readonly #clock: Clock;
  #client: VdsmClient | undefined;
  #synchronised = false;
  #failures = 0;
  #gaps = 0;
  #running: Promise<void> | undefined;

  constructor(
    private readonly address: string,
    private readonly options: VmMonitorOptions = {},
  ) {
    this.#clock = options.clock ?? systemClock;
  }

  get vms(): ReadonlyMap<string, VmEntry> {
    return this.#table.vms;
  }

  /** True while the table is complete and follows every event. */
  get synchronised(): boolean {
    return this.#synchronised;
  }

  get position(): EventPosition | undefined {
    return this.#order.position;
  }

  /** Holes seen in the numbers of events; a correct agent leaves none. */
  get gaps(): number {
    return this.#gaps;
  }

  /** The open connection, for calls of one's own; undefined while there is none. */
  get client(): VdsmClient | undefined {
    return this.#client?.state === 'open' ? this.#client : undefined;
  }

  /** Returns the remover. */
  addListener(listener: VmMonitorListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns at once; listeners tell what comes of it. */
  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** Idempotent; afterwards no socket and no timer is left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#client?.close();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const error = await this.#session(signal);
      this.#synchronised = false;
      if (stopped(signal)) return;
      const { minRetryMs = 250, maxRetryMs = 15_000 } = this.options;
      const retryInMs = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(this.#failures++, 20));
      this.#tell((listener) => listener.disconnected?.({ error, retryInMs }));
      await this.#pause(retryInMs, signal);
    }
  }

  /** One connection from its opening to its end; resolves to the reason of the end. */
  async #session(signal: AbortSignal): Promise<Error> {
    let client: VdsmClient;
    try {
      client = await VdsmClient.connect(this.address, {
        signal,
        clock: this.#clock,
        callTimeoutMs: this.options.callTimeoutMs ?? 30_000,
        ...(this.options.tls && { tls: this.options.tls }),
      });
    } catch (error) {
      return error as Error;
    }
    this.#client = client;
    if (stopped(signal)) await client.close();
    const ended = new AbortController();
    if (client.state === 'closed') return new ConnectionError(client.closeReason);
    client.onClose((reason) => ended.abort(new ConnectionError(reason)));
    this.#order.subscribing();
    client.onEvent((event) => {
      this.#apply(this.#order.event(event), client, ended);
    });
    try {
      await this.#synchronise(client, this.#order.position);
      if (this.options.pollIntervalMs !== 0) await this.#poll(client, ended.signal);
      await aborted(ended.signal);
    } catch (error) {
      ended.abort(error);
    }
    await client.close();
    return ended.signal.reason as Error;
  }

  /** Subscribes; without a position, or where the answer does not join it, from a snapshot. */
  async #synchronise(client: VdsmClient, resume: EventPosition | undefined): Promise<void> {
    this.#synchronised = false;
    this.#order.subscribing();
    const reply = parseSubscribeReply(await client.call('Agent.subscribe', resume ? { resume } : {}));
    const events = this.#order.subscribed(reply);
    if (events === 'gap') {
      this.#gaps++;
      await this.#synchronise(client, undefined);
      return;
    }
    if (reply.vms) this.#changed(this.#table.applySnapshot(reply.vms));
    this.#synchronised = true;
    this.#failures = 0;
    const missed = reply.missed?.length ?? 0;
    this.#tell((listener) => listener.synchronised?.({ resumed: reply.missed !== undefined, missed }));
    for (const event of events) this.#deliver(event);
  }

  #apply(events: Ordered, client: VdsmClient, ended: AbortController): void {
    if (events === 'gap') {
      this.#gaps++;
      this.#synchronise(client, undefined).catch((error: unknown) => ended.abort(error));
      return;
    }
    for (const event of events) this.#deliver(event);
  }

  #deliver(event: AgentEventMessage): void {
    this.#tell((listener) => listener.event?.(event));
    if (event.method.startsWith('|virt|VM_status|')) this.#changed(this.#table.applyEvent(event.params));
  }

  async #poll(client: VdsmClient, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const asked = this.#table.mark;
      try {
        const records: unknown = await client.call('Host.getAllVmStats', {}, { signal: ended });
        if (!Array.isArray(records)) throw new TypeError('the answer to Host.getAllVmStats is no list');
        this.#tell((listener) => listener.polled?.(records as unknown[]));
        this.#changed(this.#table.applyPoll(records as unknown[], asked));
      } catch (error) {
        if (!(error instanceof VdsmError || error instanceof TypeError)) throw error;
        this.#tell((listener) => listener.pollFailed?.(error));
      }
      await this.#pause(this.options.pollIntervalMs ?? 15_000, ended);
    }
  }

  #changed(changes: readonly VmChange[]): void {
    for (const change of changes) this.#tell((listener) => listener.change?.(change));
  }

  #tell(what: (listener: VmMonitorListener) => void): void {
    tellAll(this.#listeners, what);
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, finish);
      signal.addEventListener('abort', finish, { once: true });
      if (signal.aborted) finish();
    });
  }
}

/** A function, since the compiler takes a property that it has seen false for false ever after. */
function stopped(signal: AbortSignal): boolean {
  return signal.aborted;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
