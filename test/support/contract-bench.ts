/**
 * A bench that keeps one subject's domains and the calls of its listener for one test of the port's contract.
 *
 * Waiting is for what a listener is told, never for time; the limit only ends a test that would wait for ever.
 */
import assert from 'node:assert/strict';
import type { DomainDescription } from '../../src/domain/devices.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type {
  DomainEvent,
  DomainState,
  Hypervisor,
  HypervisorErrorKind,
  HypervisorListener,
} from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';
import { contractId, CONTRACT_PREFIX } from './contract-subject.js';
import type { DomainSpec, HypervisorTraits, Subject, Verb } from './contract-subject.js';

const LIMIT_MS = 20_000;
/** Of an emulated guest on a busy machine. */
const BOOT_LIMIT_MS = 180_000;

/** Resolves with the error of a call that must fail so. */
export async function rejectsWith(
  kind: HypervisorErrorKind,
  call: Promise<unknown>,
  what = 'the call',
): Promise<HypervisorError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof HypervisorError, `${what} ended with ${String(outcome)} instead of '${kind}'`);
  assert.equal(outcome.kind, kind, `${what}: ${outcome.message}`);
  assert.match(outcome.message, /\w+ \w+/, `${what} says what went wrong`);
  return outcome;
}

/** Events of a kind. */
type EventOf<K extends DomainEvent['kind'], E = DomainEvent> = E extends { readonly kind: infer Kinds }
  ? K extends Kinds
    ? E
    : never
  : never;

export class Bench {
  readonly hypervisor: Hypervisor;
  /** What listeners were told of the connection. */
  readonly connection: string[] = [];
  readonly #events: DomainEvent[] = [];
  readonly #checks = new Set<() => void>();
  readonly #ids = new Map<VmId, string>();
  readonly listener: HypervisorListener = {
    connected: ({ gap }) => this.#told(() => this.connection.push(`connected, gap ${gap}`)),
    disconnected: () => this.#told(() => this.connection.push('disconnected')),
    domainEvent: (event) => this.#told(() => this.#events.push(event)),
  };

  constructor(
    readonly subject: Subject,
    readonly traits: HypervisorTraits,
  ) {
    this.hypervisor = subject.hypervisor;
    this.hypervisor.addListener(this.listener);
  }

  start(): Promise<void> {
    return this.hypervisor.start(new AbortController().signal);
  }

  /** Removes what was defined, stops the subject and disposes of it, whatever of that fails. */
  async dispose(): Promise<void> {
    for (const id of this.#ids.keys()) {
      await this.hypervisor.destroy(id, { graceful: false }).catch(() => undefined);
      await this.hypervisor.undefine(id).catch(() => undefined);
    }
    await this.hypervisor.stop().finally(() => this.subject.dispose());
  }

  spec(n: number, devices = false, more = ''): DomainSpec {
    const id = contractId(n);
    const name = `${CONTRACT_PREFIX}${n}`;
    this.#ids.set(id, name);
    return { id, name, devices, more };
  }

  xml(n: number, devices = false, more = ''): string {
    return this.subject.domainXml(this.spec(n, devices, more));
  }

  /** Defines the n-th domain and waits for the event. */
  async define(n: number, devices = false, more = ''): Promise<VmId> {
    const { id } = await this.hypervisor.define(this.xml(n, devices, more));
    await this.until(() => this.lifecycle(id).length > 0, `${id} is told as defined`);
    return id;
  }

  /** Defines and launches the n-th domain, and waits for the events. */
  async run(n: number, devices = false, more = ''): Promise<VmId> {
    const id = await this.define(n, devices, more);
    await this.does(id, 'launch', { state: 'running', reason: 'booted' });
    return id;
  }

  /** Resolves when the agent of the n-th domain has connected. */
  async runAgentGuest(n: number, guest: NonNullable<Subject['agentGuest']>): Promise<VmId> {
    const { id } = await this.hypervisor.define(guest.domainXml(this.spec(n)));
    await this.hypervisor.launch(id, { paused: false });
    guest.launched?.(id);
    const connected = (): boolean =>
      this.told(id, 'agent-lifecycle').some(({ state }) => state === 'connected');
    await this.until(connected, 'the agent connects', BOOT_LIMIT_MS);
    return id;
  }

  call(id: VmId, verb: Verb): Promise<void> {
    const { hypervisor } = this;
    if (verb === 'launch') return hypervisor.launch(id, { paused: false });
    if (verb === 'launchPaused') return hypervisor.launch(id, { paused: true });
    if (verb === 'destroy') return hypervisor.destroy(id, { graceful: false });
    return hypervisor[verb](id);
  }

  /** The verb leads to the state at once, and to its events and no others. */
  async does(id: VmId, verb: Verb, expected: DomainState): Promise<void> {
    const before = this.lifecycle(id);
    await this.call(id, verb);
    assert.deepEqual(await this.hypervisor.domainState(id), expected, `state after ${verb}`);
    await this.eventsAre(id, [...before, ...this.traits.events[verb]]);
  }

  /** All lifecycle events of a domain so far, as 'event detail', their names checked. */
  lifecycle(id: VmId): string[] {
    const own = this.#events.filter((event) => event.id === id);
    for (const { domainName } of own) assert.equal(domainName, this.#ids.get(id), 'name in an event');
    return own.flatMap((event) => (event.kind === 'lifecycle' ? [`${event.event} ${event.detail}`] : []));
  }

  /** All events of a kind of a domain so far. */
  told<K extends DomainEvent['kind']>(id: VmId, kind: K): EventOf<K>[] {
    return this.#events.filter((event): event is EventOf<K> => event.id === id && event.kind === kind);
  }

  /** Resolves with the event of that kind that follows those so far, when it is told. */
  async next<K extends DomainEvent['kind']>(id: VmId, kind: K, after: number): Promise<EventOf<K>> {
    await this.until(() => this.told(id, kind).length > after, `a ${kind} event`);
    const event = this.told(id, kind)[after];
    assert.ok(event);
    return event;
  }

  /** The domain's definition: what it would start from. It is destroyed for that. */
  async definitionAfterEnd(id: VmId): Promise<DomainDescription> {
    await this.hypervisor.destroy(id, { graceful: false });
    return this.hypervisor.describe(id);
  }

  /** Waits for as many events as are expected and compares. */
  async eventsAre(id: VmId, expected: readonly string[]): Promise<void> {
    await this.until(() => this.lifecycle(id).length >= expected.length, `events ${expected.join(', ')}`);
    assert.deepEqual(this.lifecycle(id), expected);
  }

  /** Resolves when the listener has been told what fulfils the condition. */
  until(fulfilled: () => boolean, what: string, limitMs = LIMIT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = AbortSignal.timeout(limitMs);
      const check = (): void => {
        if (!fulfilled()) return;
        this.#checks.delete(check);
        limit.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#checks.delete(check);
        const seen = [...this.connection, ...this.#events.map((event) => JSON.stringify(event))];
        reject(new Error(`waited in vain until ${what}; told so far:\n${seen.join('\n')}`));
      };
      limit.addEventListener('abort', giveUp);
      this.#checks.add(check);
      check();
    });
  }

  #told(record: () => void): void {
    record();
    for (const check of this.#checks) check();
  }
}
