/**
 * What the contract suite of the hypervisor port needs: what a subject brings, its traits, and a bench that keeps
 * one subject's domains and the calls of its listener for one test.
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

/** Names of all domains that the suite makes begin so. */
export const CONTRACT_PREFIX = 'contract-';
const LIMIT_MS = 20_000;
/** Of an emulated guest on a busy machine. */
const BOOT_LIMIT_MS = 180_000;

export interface DomainSpec {
  readonly id: VmId;
  readonly name: string;
  /** One disk `vda`, one NIC and a memballoon; else none of the suite's interest. */
  readonly devices: boolean;
  /** XML of further devices. */
  readonly more?: string;
}

/** A group of the port's calls. */
export type Group = 'power' | 'saving' | 'devices' | 'tuning' | 'disks' | 'guest' | 'metadata';
const allGroups: readonly Group[] = ['power', 'saving', 'devices', 'tuning', 'disks', 'guest', 'metadata'];

/** One implementation of the port, not started, for one test. */
export interface Subject {
  readonly hypervisor: Hypervisor;
  domainXml(spec: DomainSpec): string;
  /** Where the hypervisor may write a file that is not there yet. */
  newPath(name: string): string;
  /** Path of a new, empty qcow2 image of 8 MiB. */
  newImage(name: string): Promise<string>;
  /** Guests answer no requests for their devices. Those of a real QEMU without a system never do on PCI. */
  keepDevices?(): void;
  /** A guest whose agent connects some time after its launch. Where it is absent, there is none to be had. */
  readonly agentGuest?: {
    domainXml(spec: DomainSpec): string;
    launched?(id: VmId): void;
  };
  /** A block job of the domain's disk has nothing left to copy. Where it is absent, jobs go on by themselves. */
  finishJob?(id: VmId, disk: string): void;
  /** The monitor of a running domain answers no more, until the returned function is called. */
  freeze?(name: string): () => void;
  /** The connection to the daemon is lost, and cannot be had again until the returned function is called. */
  cut?(): Promise<() => Promise<void>>;
  /** After the bench has removed its domains and stopped the hypervisor. */
  dispose(): Promise<void>;
}

/** A verb that changes a domain's state. */
export type Verb = 'launch' | 'launchPaused' | 'suspend' | 'resume' | 'destroy';

/** In what an implementation may differ. */
export interface HypervisorTraits {
  /** `domain/@type` of its domains. */
  readonly domainType: string;
  /** Lifecycle events by verb, as 'event detail'. */
  readonly events: Readonly<Record<Verb, readonly string[]>>;
  /** How it refuses a verb that the domain's state does not allow. */
  readonly wrongState: HypervisorErrorKind;
  /** It can launch paused, suspends what is suspended without complaint, and undefines no transient domain. */
  readonly likeQemu: boolean;
  /** Of statistics it tells all, what per-domain calls yield, or states alone. */
  readonly stats: 'all' | 'partial' | 'states';
  /** Descriptions have the devices of the XML. */
  readonly devices: boolean;
  /** Deadlines and signals of calls count. */
  readonly options: boolean;
  /** It has a daemon to connect to. */
  readonly connects: boolean;
  /** Groups of calls that it serves. */
  readonly groups: readonly Group[];
}

export const qemuTraits: HypervisorTraits = {
  domainType: 'qemu',
  events: {
    launch: ['resumed unpaused', 'started booted'],
    launchPaused: ['started booted', 'suspended paused'],
    suspend: ['suspended paused'],
    resume: ['resumed unpaused'],
    destroy: ['shutdown host', 'stopped destroyed'],
  },
  wrongState: 'invalid-state',
  likeQemu: true,
  stats: 'all',
  devices: true,
  options: true,
  connects: true,
  groups: allGroups,
};

/** libvirt's test driver. */
export const testDriverTraits: HypervisorTraits = {
  ...qemuTraits,
  domainType: 'test',
  events: { ...qemuTraits.events, launch: ['started booted'], destroy: ['stopped destroyed'] },
  wrongState: 'failed',
  likeQemu: false,
  stats: 'partial',
  groups: [],
};

export function contractId(n: number): VmId {
  return `c0de0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as VmId;
}

/** Of a guest agent, which never comes in a guest without a system. */
export const AGENT_CHANNEL = `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;

/** Never defined by the suite. */
export const unknownId = contractId(0xdead);

/**
 * A domain of 16 MiB as libvirt accepts it. Its memory statistics have a period, so that no agent that runs on the
 * same host sets one while a test looks.
 *
 * @param disk path of the disk's image */
export function contractXml(
  { id, name, devices, more = '' }: DomainSpec,
  type: string,
  disk: string,
): string {
  const parts = `
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='ethernet'><mac address='52:54:00:c0:de:01'/><model type='virtio'/></interface>
    <memballoon model='virtio'><stats period='3'/></memballoon>`;
  return `<domain type='${type}'>
  <name>${name}</name><uuid>${id}</uuid>
  <memory unit='MiB'>16</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/></features>
  <devices>${devices ? parts : ''}${more}</devices>
</domain>`;
}

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
