/**
 * The simulated host: a set of QEMU-like domains, as a libvirt daemon sees them. The pure model: no
 * sockets, no bytes; time comes from the clock and everything else from the seed.
 *
 * Invariants: domains are found by uuid, names are unique; events are told after the change they tell of,
 * in order, to listeners that must not call back into the model.
 */
import { parseVmId } from '../domain/ids.js';
import type { VmId } from '../domain/ids.js';
import type { Clock } from '../util/time.js';
import { makeConfig } from './domain-config.js';
import type { DomainConfig, DomainDefaults } from './domain-config.js';
import { parseDomain } from './domain-parse.js';
import { printDomain } from './domain-xml.js';
import { SimulatedDomain, State } from './domain.js';
import { Lifecycle } from './events.js';
import type { EventBody, HostEvent } from './events.js';
import { Fault } from './fault.js';
import { DomainLifecycle } from './lifecycle.js';
import { SeededRandom, seededUuid } from './random.js';
import { StatsTables } from './stats-table.js';

export interface SimulatedHostOptions {
  readonly clock: Clock;
  /** Running domains at the start: `vm-0001` ... */
  readonly domains: number;
  /** Default 1. Same seed, same host. */
  readonly seed?: number;
  /** vCPUs, disks, NICs and memory of the first domains; default 2, 2, 1 and 1 to 8 GiB. */
  readonly defaults?: DomainDefaults;
  /** How long a guest takes to answer a power button or a reboot, ms; default 2000. */
  readonly guestAnswerMs?: number;
  /** How long after a start the guest's agent connects, ms; default 1000. */
  readonly agentStartMs?: number;
}

/** Where a host's first domains look as if they had run before: up to thirty days. */
const MAX_UPTIME_SEC = 30 * 86_400;
const FIRST_VNC_PORT = 5900;

export class SimulatedHost {
  readonly seed: number;
  readonly stats = new StatsTables();
  readonly lifecycle: DomainLifecycle;
  readonly #clock: Clock;
  readonly #domains = new Map<VmId, SimulatedDomain>();
  readonly #byName = new Map<string, SimulatedDomain>();
  readonly #listeners = new Set<(event: HostEvent) => void>();
  #lastId = 0;
  #lastTap = -1;
  #made = 0;

  constructor(options: SimulatedHostOptions) {
    this.#clock = options.clock;
    this.seed = options.seed ?? 1;
    this.lifecycle = new DomainLifecycle({
      clock: options.clock,
      emit: (domain, event) => this.#emit(domain, event),
      newProcess: (config) => this.#newProcess(config),
      forget: (domain) => this.#forget(domain),
      guestAnswerMs: options.guestAnswerMs ?? 2000,
      agentStartMs: options.agentStartMs ?? 1000,
    });
    const random = new SeededRandom(this.seed);
    for (let index = 1; index <= options.domains; index++) {
      const domain = this.#add(makeConfig(this.seed, index, options.defaults), true);
      const uptimeSec = Math.floor(random.between(3600, MAX_UPTIME_SEC));
      domain.attach({ ...this.#newProcess(domain.config), uptimeSec });
      domain.moveTo(State.running, 1);
      domain.agentConnected = domain.config.guestAgent;
    }
  }

  /** All domains, in the order they came. */
  get domains(): Iterable<SimulatedDomain> {
    return this.#domains.values();
  }

  get size(): number {
    return this.#domains.size;
  }

  /** Seconds since the host was booted. */
  get uptimeSec(): number {
    return this.#clock.nowMs() / 1000;
  }

  find(uuid: string): SimulatedDomain | undefined {
    return this.#domains.get(uuid as VmId);
  }

  findByName(name: string): SimulatedDomain | undefined {
    return this.#byName.get(name);
  }

  /** By uuid or name; throws Fault 'no-domain'. For commands that people give. */
  require(idOrName: string): SimulatedDomain {
    const domain = this.find(idOrName) ?? this.findByName(idOrName);
    if (!domain) throw new Fault('no-domain', `no domain with matching name '${idOrName}'`);
    return domain;
  }

  /** Returns the remover. */
  onEvent(listener: (event: HostEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A persistent domain, new or changed; a running one keeps running as it is described now. */
  define(xml: string): SimulatedDomain {
    const config = this.#parse(xml);
    const known = this.find(config.uuid);
    if (known) {
      known.config = config;
      known.persistent = true;
    }
    const domain = known ?? this.#add(config, true);
    this.#emit(domain, known ? Lifecycle.updated : Lifecycle.defined);
    return domain;
  }

  /** A running one stays as a transient domain. */
  undefine(domain: SimulatedDomain): void {
    if (!domain.persistent) throw new Fault('invalid-state', 'cannot undefine transient domain');
    domain.persistent = false;
    if (!domain.active) this.#forget(domain);
    this.#emit(domain, Lifecycle.undefined);
  }

  /** Starts a transient domain, or a known one that does not run. */
  createXml(xml: string, paused: boolean): SimulatedDomain {
    const config = this.#parse(xml);
    const known = this.find(config.uuid);
    if (known?.active) {
      throw new Fault('operation-failed', `domain '${known.name}' already exists with uuid ${known.uuid}`);
    }
    const domain = known ?? this.#add(config, false);
    domain.config = config;
    this.lifecycle.start(domain, paused);
    return domain;
  }

  /** Changes the description without touching the process, as virDomainSet* calls do. */
  configure(domain: SimulatedDomain, change: Partial<DomainConfig>): void {
    domain.config = { ...domain.config, ...change };
    if (change.currentMemoryKiB !== undefined && domain.active) {
      this.#emit(domain, { kind: 'balloon', actualKiB: change.currentMemoryKiB });
    }
  }

  metadataChanged(domain: SimulatedDomain, type: number, uri: string | undefined): void {
    this.#emit(domain, { kind: 'metadata', type, uri });
  }

  /** @param inactive the document of the next start */
  xml(domain: SimulatedDomain, inactive: boolean): string {
    if (inactive || !domain.active) return printDomain(domain.config);
    return printDomain(domain.config, domain);
  }

  /** Cancels the guests' pending answers. */
  close(): void {
    this.lifecycle.close();
  }

  #parse(xml: string): DomainConfig {
    const config = parseDomain(xml, () => seededUuid(this.seed, `made/${++this.#made}`));
    const uuid = parseVmId(config.uuid);
    if (uuid === undefined) throw new Fault('internal', 'malformed uuid element');
    const namesake = this.#byName.get(config.name);
    if (namesake && namesake.uuid !== uuid) {
      throw new Fault(
        'operation-failed',
        `domain '${config.name}' already exists with uuid ${namesake.uuid}`,
      );
    }
    const sameUuid = this.#domains.get(uuid);
    if (sameUuid && sameUuid.name !== config.name) {
      throw new Fault('operation-failed', `domain '${sameUuid.name}' is already defined with uuid ${uuid}`);
    }
    return { ...config, uuid };
  }

  #add(config: DomainConfig, persistent: boolean): SimulatedDomain {
    const seed = this.seed * 104_729 + this.#domains.size;
    const domain = new SimulatedDomain(config, { clock: this.#clock, persistent, seed });
    this.#domains.set(domain.uuid, domain);
    this.#byName.set(domain.name, domain);
    return domain;
  }

  #forget(domain: SimulatedDomain): void {
    this.#domains.delete(domain.uuid);
    this.#byName.delete(domain.name);
  }

  #newProcess(config: DomainConfig): { id: number; taps: string[]; vncPort: number } {
    const id = ++this.#lastId;
    return {
      id,
      taps: config.nics.map(() => `vnet${++this.#lastTap}`),
      vncPort: FIRST_VNC_PORT + (id % 50_000),
    };
  }

  #emit(domain: SimulatedDomain, event: EventBody): void {
    const handle = { name: domain.name, uuid: domain.uuid, id: domain.id };
    for (const listener of this.#listeners) listener({ ...event, domain: handle });
  }
}
