/**
 * The simulated host: a set of QEMU-like domains, as a libvirt daemon sees them. The pure model: no
 * sockets, no bytes; time comes from the clock and everything else from the seed.
 *
 * Invariants: domains are found by uuid, names are unique; events are told after the change they tell of,
 * in order, to listeners that must not call back into the model.
 *
 * Its parts: `lifecycle` (states), `starts` (processes), `guests` (what guests do and what befalls them), `memory`
 * (save and restore), `blockJobs` (commits), `stats`.
 */
import type { Clock } from '../util/time.js';
import { BlockJobs } from './block-jobs.js';
import type { DomainConfig } from './domain-config.js';
import { hasAgentChannel } from './domain-config.js';
import { DomainSet } from './domain-set.js';
import { printDomain } from './domain-xml.js';
import { Reason, SimulatedDomain, State } from './domain.js';
import { Lifecycle } from './events.js';
import type { EventBody, HostEvent } from './events.js';
import { Fault } from './fault.js';
import { obedientGuest } from './guest-behaviour.js';
import type { GuestBehaviour } from './guest-behaviour.js';
import { GuestPower } from './guest-power.js';
import { readSaved } from './image-file.js';
import { DomainLifecycle } from './lifecycle.js';
import type { NewProcess } from './lifecycle.js';
import { startedConfig } from './live-config.js';
import { liveParts } from './live-parts.js';
import { makeConfig } from './made-domains.js';
import type { DomainDefaults } from './made-domains.js';
import { SeededRandom, seededUuid } from './random.js';
import { SavedMemory, requireSameDomain } from './saved-memory.js';
import { Starts } from './starts.js';
import { StatsTables } from './stats-table.js';

export interface SimulatedHostOptions {
  readonly clock: Clock;
  /** Running domains at the start: `vm-0001` ... */
  readonly domains: number;
  /** Default 1. Same seed, same host. */
  readonly seed?: number;
  /** vCPUs, disks, NICs and memory of the first domains; default 2, 2, 1 and 1 to 8 GiB. */
  readonly defaults?: DomainDefaults;
  /** How guests behave that nobody has told otherwise; default: obedientGuest. */
  readonly guest?: Partial<GuestBehaviour>;
  /** How long a QEMU takes to start, ms; default 0. */
  readonly startMs?: number;
  /** How many QEMUs may be starting at once; default 8. */
  readonly parallelStarts?: number;
  /** How long the memory of a domain takes to be written to a file, ms; default 50. */
  readonly saveMs?: number;
  /** How long a commit of a disk image takes, ms; default 500. */
  readonly commitMs?: number;
  /** How long libvirt waits for a guest that keeps a device or a tray, ms; default 5000. */
  readonly patienceMs?: number;
}

/** Where a host's first domains look as if they had run before: up to thirty days. */
const MAX_UPTIME_SEC = 30 * 86_400;
const FIRST_VNC_PORT = 5900;
/** Ports of one domain, in their order. */
const PORTS_PER_DOMAIN = 2;

export class SimulatedHost {
  readonly seed: number;
  readonly stats = new StatsTables();
  readonly lifecycle: DomainLifecycle;
  readonly starts: Starts;
  readonly guests: GuestPower;
  readonly memory: SavedMemory;
  readonly blockJobs: BlockJobs;
  readonly clock: Clock;
  readonly patienceMs: number;
  readonly #guest: GuestBehaviour;
  readonly #domains = new DomainSet();
  readonly #listeners = new Set<(event: HostEvent) => void>();
  #lastId = 0;
  #lastTap = -1;
  #made = 0;

  constructor(options: SimulatedHostOptions) {
    const { clock } = options;
    this.clock = clock;
    this.seed = options.seed ?? 1;
    this.patienceMs = options.patienceMs ?? 5000;
    this.#guest = { ...obedientGuest, ...options.guest };
    const emit = (domain: SimulatedDomain, ...events: readonly EventBody[]) => this.emit(domain, ...events);
    const forget = (domain: SimulatedDomain) => this.#domains.forget(domain);
    const lifecycle = new DomainLifecycle({
      emit,
      newProcess: (config) => this.#newProcess(config),
      forget,
      booted: (domain) => this.guests.booted(domain),
      resumed: (domain) => this.guests.resumed(domain),
    });
    this.lifecycle = lifecycle;
    this.guests = new GuestPower({ emit, lifecycle });
    const startOptions = { startMs: options.startMs ?? 0, parallelStarts: options.parallelStarts ?? 8 };
    this.starts = new Starts(startOptions, { clock, lifecycle, forget });
    const printSaved = (domain: SimulatedDomain) => printDomain(domain.config, { secure: true });
    this.memory = new SavedMemory({ clock, lifecycle, emit, printSaved, saveMs: options.saveMs ?? 50 });
    this.blockJobs = new BlockJobs({ clock, emit, commitMs: options.commitMs ?? 500 });
    this.#makeDomains(options);
  }

  /** All domains, in the order they came. */
  get domains(): Iterable<SimulatedDomain> {
    return this.#domains.all;
  }

  get size(): number {
    return this.#domains.size;
  }

  /** Seconds since the host was booted. */
  get uptimeSec(): number {
    return this.clock.nowMs() / 1000;
  }

  find(uuid: string): SimulatedDomain | undefined {
    return this.#domains.find(uuid);
  }

  findByName(name: string): SimulatedDomain | undefined {
    return this.#domains.findByName(name);
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

  /** A persistent domain, new or changed; a running one keeps running as it is. */
  define(xml: string): SimulatedDomain {
    const config = this.#parse(xml);
    const known = this.find(config.uuid);
    if (known) {
      known.definition = config;
      known.persistent = true;
    }
    const domain = known ?? this.#add(config, true);
    this.emit(domain, known ? Lifecycle.updated : Lifecycle.defined);
    return domain;
  }

  /** A running one stays as a transient domain. */
  undefine(domain: SimulatedDomain): void {
    if (!domain.persistent) throw new Fault('invalid-state', 'cannot undefine transient domain');
    domain.persistent = false;
    if (!domain.active) this.#domains.forget(domain);
    this.emit(domain, Lifecycle.undefined);
  }

  /**
   * A transient domain, or a known one that does not run, with how to start it with another configuration than its
   * definition.
   */
  prepare(xml: string): {
    readonly domain: SimulatedDomain;
    readonly start: (paused: boolean) => Promise<void> | undefined;
  } {
    const config = this.#parse(xml);
    const known = this.find(config.uuid);
    if (known?.active) {
      throw new Fault('operation-failed', `domain '${known.name}' already exists with uuid ${known.uuid}`);
    }
    const domain = known ?? this.#add(config, false);
    return { domain, start: (paused) => this.starts.start(domain, paused, config) };
  }

  /** Starts a transient domain at once. */
  createXml(xml: string, paused: boolean): SimulatedDomain {
    const { domain, start } = this.prepare(xml);
    void start(paused);
    return domain;
  }

  /**
   * Starts a domain from a file of saved memory.
   * @param change.xml in place of the document in the file
   */
  restore(
    path: string,
    change: { readonly xml?: string | undefined; readonly running?: boolean | undefined },
  ): void {
    const saved = readSaved(path);
    const xml = change.xml ?? saved.xml;
    if (xml !== saved.xml) requireSameDomain(xml, saved.xml);
    const config = this.#parse(xml);
    const known = this.find(config.uuid);
    if (known?.active) throw new Fault('invalid-state', `domain '${known.name}' is already active`);
    const domain = known ?? this.#add(config, false);
    this.lifecycle.launch(domain, config);
    this.lifecycle.continueRestored(domain, change.running ?? saved.running);
    // The guest has had its channel open all the time.
    const connected = hasAgentChannel(config) && domain.guest.agent !== 'absent';
    if (connected) this.guests.setAgentConnected(domain, true);
  }

  /** @param inactive the document of the next start; secure: passwords too */
  xml(domain: SimulatedDomain, inactive: boolean, secure = false): string {
    if (!inactive)
      return printDomain(domain.config, domain.active ? { live: liveParts(domain), secure } : { secure });
    return printDomain(domain.persistent ? domain.definition : domain.config, { secure });
  }

  newTap(): string {
    return `vnet${++this.#lastTap}`;
  }

  /** The daemon is gone, and with it the jobs that it was doing; QEMUs and guests live on. */
  daemonEnded(): void {
    for (const domain of this.domains) {
      domain.monitor.daemonEnded();
      domain.job?.abandon();
    }
    this.starts.close();
  }

  /** Cancels the guests' pending answers. */
  close(): void {
    for (const domain of this.domains) {
      domain.guestTimers.clear();
      for (const job of domain.blockJobs.values()) job.stop();
    }
  }

  emit(domain: SimulatedDomain, ...events: readonly EventBody[]): void {
    for (const event of events) {
      const handle = { name: domain.name, uuid: domain.uuid, id: domain.id };
      for (const listener of this.#listeners) listener({ ...event, domain: handle });
    }
  }

  #makeDomains({ domains, defaults }: SimulatedHostOptions): void {
    const random = new SeededRandom(this.seed);
    for (let index = 1; index <= domains; index++) {
      const uptimeSec = Math.floor(random.between(3600, MAX_UPTIME_SEC));
      const startTimeSec = Math.floor(this.clock.wallMs() / 1000) - uptimeSec;
      const domain = this.#add(makeConfig(this.seed, index, { ...defaults, startTimeSec }), true);
      domain.attach({ ...this.#newProcess(domain.config), uptimeSec });
      domain.moveTo(State.running, Reason.running.booted);
      domain.agentConnected = hasAgentChannel(domain.config) && this.#guest.agent !== 'absent';
    }
  }

  #parse(xml: string): DomainConfig {
    return this.#domains.parse(xml, () => seededUuid(this.seed, `made/${++this.#made}`));
  }

  #add(config: DomainConfig, persistent: boolean): SimulatedDomain {
    const seed = this.seed * 104_729 + this.#domains.size;
    const domain = new SimulatedDomain(config, { clock: this.clock, persistent, seed });
    domain.guest = this.#guest;
    return this.#domains.add(domain);
  }

  #newProcess(config: DomainConfig): NewProcess {
    const id = ++this.#lastId;
    return {
      id,
      vncPort: FIRST_VNC_PORT + ((id * PORTS_PER_DOMAIN) % 50_000),
      config: startedConfig(config, () => this.newTap()),
    };
  }
}
