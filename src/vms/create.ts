/**
 * VM.create: the record at once, then in the background define -> launch -> read back -> Up.
 *
 * Domains are persistent, so that a Down VM and its metadata outlive it. A launch without an answer (timeout, lost
 * connection) is never called a failure: an engine would start the VM elsewhere while it may run here. Its record
 * stays WaitForLaunch until the reconciler has seen what became of it.
 */
import { VerbError } from '../domain/errors.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { DomainDescription } from '../domain/devices.js';
import type { DomainState } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { causesOfFound, isActive, isStarting } from '../domain/vm-found.js';
import { engineTime } from '../util/time.js';
import { textOf } from '../util/text.js';
import { nameOf, notConnected } from './operation.js';
import type { OperationsParts } from './operation.js';
import { Slots } from './parallel.js';
import { markStart } from './start-metadata.js';

/** VM.create's result; statusTime as in the record (text, ms on the engine's clock). */
export interface CreateResult {
  readonly vmId: VmId;
  readonly status: 'WaitForLaunch';
  readonly statusTime: string;
  readonly xml: string;
}

export interface StartsUnderWay {
  readonly running: number;
  readonly waiting: number;
  readonly places: number;
  readonly longestWaitSec: number;
}

/** A start under way. */
interface Start {
  readonly domain: DomainDescription;
  readonly ended: Promise<void>;
  cancelled: boolean;
  /** The launch has been sent: there may be a QEMU. */
  launching: boolean;
}

/** VDSM starts four VMs at a time: enough to be quick, few enough that libvirt stays responsive. */
const PARALLEL_STARTS = 4;
/** Memory of a large VM may be allocated for minutes before QEMU answers. */
const LAUNCH_DEADLINE_MS = 600_000;
const READ_ATTEMPTS = 3;
/** Nobody knows whether the call has had its effect. */
const unanswered: ReadonlySet<string> = new Set(['timeout', 'unavailable', 'aborted']);

export class Creation {
  readonly #starts = new Map<VmId, Start>();
  readonly #slots = new Slots(PARALLEL_STARTS);

  constructor(private readonly parts: OperationsParts) {}

  /** For Agent.getHealth. */
  get waiting(): StartsUnderWay {
    return { running: this.#starts.size, waiting: 0, places: PARALLEL_STARTS, longestWaitSec: 0 };
  }

  begin(xml: string): CreateResult {
    const { hypervisor, registry, clock } = this.parts;
    const domain = this.#parse(xml);
    const { id, name } = domain;
    if (registry.get(id)) throw new VerbError('exist', { vmId: id });
    if (hypervisor.status.state !== 'open') throw notConnected(domain, hypervisor.status.reason);
    const release = registry.locks.take(id, name, 'VM.create');
    registry.add({ id, name, external: false, internal: 'WaitForLaunch' }, { facts: { domain } });
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const start: Start = { domain, ended, cancelled: false, launching: false };
    this.#starts.set(id, start);
    void this.#run(start).finally(() => {
      this.#starts.delete(id);
      release();
      if (registry.get(id)?.internal === 'WaitForLaunch') registry.doubt(id);
      end();
    });
    return { vmId: id, status: 'WaitForLaunch', statusTime: String(engineTime(clock.nowMs())), xml };
  }

  /** Has a start under way end as soon as it can; resolves then. Undefined where there is none. */
  cancel(id: VmId): Promise<void> | undefined {
    const start = this.#starts.get(id);
    if (!start) return undefined;
    start.cancelled = true;
    // Killing QEMU makes a launch that hangs return; where there is no QEMU yet the start itself sees the mark.
    if (start.launching) void this.#kill(start);
    return start.ended;
  }

  #parse(xml: string): DomainDescription {
    try {
      return this.parts.hypervisor.parseXml(xml);
    } catch (error) {
      throw new VerbError('general', `the domain XML cannot be used: ${textOf(error)}`, { cause: error });
    }
  }

  async #run(start: Start): Promise<void> {
    const { registry, log } = this.parts;
    const { id, name } = start.domain;
    try {
      await this.#slots.run(() => this.#start(start));
    } catch (error) {
      if (start.cancelled) {
        registry.move(id, 'launch-cancelled');
      } else if (start.launching && isUnanswered(error)) {
        log.warn({ vmId: id, name, err: error }, 'A launch got no answer: its outcome is found out later');
      } else {
        log.warn({ vmId: id, name, err: error }, 'A VM could not be started');
        registry.move(id, 'launch-failed', { message: textOf(error) });
      }
    }
  }

  async #start(start: Start): Promise<void> {
    const { hypervisor, registry, clock } = this.parts;
    const { id, metadata } = start.domain;
    const parse = (xml: string): DomainDescription => hypervisor.parseXml(xml);
    const paused = metadata?.launchPaused ?? false;
    this.#checkCancelled(start);
    await this.#removeStale(start);
    await hypervisor.define(markStart(start.domain, clock.wallMs() / 1000, parse));
    this.#checkCancelled(start);
    start.launching = true;
    await this.#launch(id, paused);
    // Reads that fail change nothing about the VM's running.
    const domain = await hypervisor.describe(id).catch(() => undefined);
    const state = await this.#readState(id);
    if (start.cancelled) await this.#kill(start);
    this.#checkCancelled(start);
    registry.change(id, {
      causes: [paused ? 'launched-paused' : 'launched', ...(state ? causesOfFound(state) : [])],
      facts: { startedAtMs: clock.wallMs(), ...(domain && { domain }) },
    });
    if (!state || !domain) registry.doubt(id);
  }

  /** An error is believed only if no QEMU runs: an engine starts elsewhere what is said to have failed. */
  async #launch(id: VmId, paused: boolean): Promise<void> {
    const { hypervisor, log } = this.parts;
    try {
      await hypervisor.launch(id, { paused }, { deadlineMs: LAUNCH_DEADLINE_MS });
    } catch (error) {
      const state = await hypervisor.domainState(id).catch(() => undefined);
      if (!state || !isActive(state) || isStarting(state)) throw error;
      log.warn({ vmId: id, err: error }, 'A launch failed, but the VM runs');
    }
  }

  #checkCancelled({ cancelled, domain }: Start): void {
    if (cancelled) throw new Error(`the start of ${nameOf(domain)} was cancelled by VM.destroy`);
  }

  /** A definition that an earlier VM of the same id has left behind. */
  async #removeStale({ domain }: Start): Promise<void> {
    const { hypervisor } = this.parts;
    const state = await hypervisor.domainState(domain.id).catch(unlessMissing);
    if (state === undefined) return;
    if (isActive(state)) throw new VerbError('exist', `${nameOf(domain)} is running already`);
    await hypervisor.undefine(domain.id).catch(unlessMissing);
  }

  /** The state, read until no event came meanwhile; undefined where it cannot be had. */
  async #readState(id: VmId): Promise<DomainState | undefined> {
    const { registry, hypervisor } = this.parts;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const watch = registry.watch();
      try {
        const state = await hypervisor.domainState(id);
        if (!watch.touched(id)) return state;
      } catch {
        return undefined;
      } finally {
        watch.end();
      }
    }
    return undefined;
  }

  async #kill({ domain }: Start): Promise<void> {
    await this.parts.hypervisor.destroy(domain.id, { graceful: false }).catch(() => undefined);
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof HypervisorError && unanswered.has(error.kind);
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof HypervisorError && error.kind === 'no-domain') return undefined;
  throw error;
}
