/**
 * The calls of the fake hypervisor: counted, and made to fail, to hang or to answer late by a test. What they do is
 * the fake's own business. Each takes one turn of the event loop at least.
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { Hypervisor } from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';

type Group = 'power' | 'saving' | 'devices' | 'tuning' | 'disks' | 'guest' | 'metadata';
type GroupMethod = { [G in Group]: `${G}.${Extract<keyof Hypervisor[G], string>}` }[Group];

/** A call of the port, those of its groups as 'devices.attach'. */
export type Method =
  | Exclude<keyof Hypervisor, Group | 'status' | 'stuckCalls' | 'addListener' | 'start' | 'stop' | 'parseXml'>
  | GroupMethod;

export interface FakeCall {
  readonly method: Method;
  readonly id?: VmId;
  /** What the call of a group was given beside the id. */
  readonly args?: Readonly<Record<string, unknown>>;
}

export abstract class FakeCalls {
  readonly calls: FakeCall[] = [];
  /** The most calls that waited at the same time. */
  peakCalls = 0;
  #pendingCalls = 0;
  readonly #failures = new Map<Method, Error[]>();
  readonly #holds = new Map<Method, Promise<void>>();
  readonly #answerHolds = new Map<Method, Promise<void>>();

  failNext(method: Method, error: Error = new HypervisorError('failed', 'it failed'), times = 1): void {
    const errors = Array.from({ length: times }, () => error);
    this.#failures.set(method, [...(this.#failures.get(method) ?? []), ...errors]);
  }

  /** Calls of the method wait until the returned function is called; what they do is done after that. */
  hold(method: Method): () => void {
    return held(this.#holds, method);
  }

  /** Answers of listDomains, stats or domainState are made at once but arrive when the returned function is called. */
  holdAnswer(method: 'listDomains' | 'stats' | 'domainState'): () => void {
    return held(this.#answerHolds, method);
  }

  countCalls(method: Method, id?: VmId): number {
    return this.callsOf(method, id).length;
  }

  callsOf(method: Method, id?: VmId): FakeCall[] {
    return this.calls.filter((call) => call.method === method && (id === undefined || call.id === id));
  }

  /** Why no call is answered now. */
  protected abstract refusal(): Error | undefined;

  protected async answer<T>(method: Method, value: T): Promise<T> {
    await this.#answerHolds.get(method);
    return value;
  }

  async enter(method: Method, id?: VmId, args?: FakeCall['args']): Promise<void> {
    this.calls.push({ method, ...(id !== undefined && { id }), ...(args && { args }) });
    this.peakCalls = Math.max(this.peakCalls, ++this.#pendingCalls);
    try {
      await (this.#holds.get(method) ?? new Promise((resolve) => setImmediate(resolve)));
      const failure = this.refusal() ?? this.#failures.get(method)?.shift();
      if (failure) throw failure;
    } finally {
      this.#pendingCalls--;
    }
  }
}

function held(holds: Map<Method, Promise<void>>, method: Method): () => void {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = () => {
      holds.delete(method);
      resolve();
    };
  });
  holds.set(method, released);
  return release;
}
