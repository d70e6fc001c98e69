/**
 * VM.create: the record at once; the start itself (start-sequence.ts) in the background, when it has a place in line.
 *
 * Any number of VMs is accepted, up to a limit that is none but for a broken caller. A run without an answer (timeout, lost
 * connection) is never called a failure: an engine would start the VM elsewhere while it may run here. Its record stays
 * as it is until the reconciler has seen what became of it.
 */
import type { DomainDescription } from '../domain/devices.js';
import { VerbError } from '../domain/errors.js';
import { isUnanswered } from '../domain/hypervisor-failure.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { textOf } from '../util/text.js';
import { engineTime } from '../util/time.js';
import { nameOf, notConnected } from './operation.js';
import type { OperationsParts } from './operation.js';
import { nextTurn } from './parallel.js';
import { isBeingStarted } from './refresher.js';
import { StartPlaces } from './start-places.js';
import type { StartsUnderWay } from './start-places.js';
import { kill, runStart } from './start-sequence.js';
import type { Start } from './start-sequence.js';
import type { StartStep } from './start-step.js';

/** VM.create's result; statusTime as in the record (text, ms on the engine's clock). */
export interface CreateResult {
  readonly vmId: VmId;
  readonly status: StartStep['internal'];
  readonly statusTime: string;
  readonly xml: string;
}

interface StartUnderWay extends Start {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

const MAX_STARTS = 10_000;

export class Creation {
  readonly #starts = new Map<VmId, StartUnderWay>();
  readonly #places: StartPlaces;

  constructor(private readonly parts: OperationsParts) {
    const { clock, metrics, parallelStarts: places } = parts;
    this.#places = new StartPlaces({ clock, metrics, places });
  }

  /** For Agent.getHealth. */
  get waiting(): StartsUnderWay {
    return this.#places.underWay;
  }

  /**
   * @param xml as the caller sent it, which is what the answer says again
   * @throws VerbError exist (also for a Down VM), general (no domain XML), resourceUnavailable
   */
  begin(xml: string, step: StartStep): CreateResult {
    const { hypervisor, registry, clock } = this.parts;
    const domain = this.#parse(xml);
    const { id, name } = domain;
    if (registry.get(id)) throw new VerbError('exist', { vmId: id });
    if (hypervisor.status.state !== 'open') throw notConnected(domain, hypervisor.status.reason);
    if (this.#starts.size >= MAX_STARTS) {
      const sentence = `${nameOf(domain)} is not accepted: ${MAX_STARTS} VMs are being started or wait for it`;
      throw new VerbError('resourceUnavailable', sentence);
    }
    const release = registry.locks.take(id, name, 'VM.create');
    registry.add({ id, name, external: false, internal: step.internal }, { facts: { domain } });
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const abort = new AbortController();
    const start: StartUnderWay = { domain, step, abort, cancelled: abort.signal, ended, running: false };
    this.#starts.set(id, start);
    void this.#run(start).finally(() => {
      this.#starts.delete(id);
      release();
      const vm = registry.get(id);
      if (vm && isBeingStarted(vm)) registry.doubt(id);
      end();
    });
    return { vmId: id, status: step.internal, statusTime: String(engineTime(clock.nowMs())), xml };
  }

  /** Has a start under way end as soon as it can; resolves then. Undefined where there is none. */
  cancel(id: VmId): Promise<void> | undefined {
    const start = this.#starts.get(id);
    if (!start) return undefined;
    start.abort.abort(new Error(`the start of ${nameOf(start.domain)} was cancelled by VM.destroy`));
    // Killing QEMU makes a run that hangs return; where there is no QEMU yet the start itself sees the mark.
    if (start.running) void kill(this.parts, id);
    return start.ended;
  }

  #parse(xml: string): DomainDescription {
    try {
      return this.parts.hypervisor.parseXml(xml);
    } catch (error) {
      throw new VerbError('general', `the domain XML cannot be used: ${textOf(error)}`, { cause: error });
    }
  }

  /** Never rejects; what becomes of the start is in the record. */
  async #run(start: StartUnderWay): Promise<void> {
    let leave: () => void = () => undefined;
    try {
      // The reply goes first.
      await nextTurn();
      leave = await this.#places.take(start.cancelled);
      await this.#start(start);
    } catch (error) {
      this.#failed(start, error);
    } finally {
      leave();
    }
  }

  async #start(start: StartUnderWay): Promise<void> {
    const { registry, metrics, clock } = this.parts;
    const { id } = start.domain;
    const begunMs = clock.nowMs();
    let result: 'ok' | 'failed' = 'failed';
    try {
      const { causes, facts, isSure } = await runStart(this.parts, start);
      registry.change(id, { causes, facts });
      if (!isSure) registry.doubt(id);
      result = 'ok';
    } finally {
      metrics.vm_start_seconds.observe({ result }, (clock.nowMs() - begunMs) / 1000);
    }
  }

  #failed(start: StartUnderWay, error: unknown): void {
    const { registry, log } = this.parts;
    const { id, name } = start.domain;
    const fields = { vmId: id, name, err: error };
    if (start.cancelled.aborted) {
      registry.move(id, 'launch-cancelled');
    } else if (start.running && isUnanswered(error)) {
      log.warn(fields, 'A start got no answer: its outcome is found out later');
    } else {
      log.warn(fields, 'A VM could not be started');
      const message = error instanceof HypervisorError ? error.detail : textOf(error);
      registry.move(id, start.step.failed, { message });
    }
  }
}
