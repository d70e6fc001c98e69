/**
 * `resumeBehavior` kill: a VM that an I/O error has stopped is ended (exit 1/14) when it has been so for 80 s, since by
 * then an engine has started it on another host, or may do so.
 *
 * Of VDSM's other two, leave_paused asks for nothing. auto_resume is not offered: it waits for the storage domain to
 * come back, and there are no storage domains here; VM.cont resumes such a VM.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import { kill } from './kill.js';
import type { Registry } from './registry.js';

/** VDSM: eight times sanlock's I/O time-out. */
const LIMIT_MS = 80_000;
const RETRY_MS = 10_000;

export interface PauseLimitParts {
  readonly hypervisor: Pick<Hypervisor, 'destroy'>;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
}

export class PauseLimit {
  /** Of each VM that is to be ended, while it stays as it is. */
  readonly #timers = new Map<VmId, () => void>();
  #remove: () => void = () => undefined;

  constructor(private readonly parts: PauseLimitParts) {}

  start(): void {
    this.#remove = this.parts.registry.onChange((...change) => this.#look(...change));
  }

  stop(): void {
    this.#remove();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #look(id: VmId, vm: Vm | undefined, before: Vm | undefined): void {
    const timer = this.#timers.get(id);
    if (vm && isLimited(vm)) {
      if (!timer) this.#set(id, before ? LIMIT_MS : this.#leftMs(vm));
    } else if (timer) {
      timer();
      this.#timers.delete(id);
    }
  }

  #set(id: VmId, delayMs: number): void {
    this.#timers.set(
      id,
      this.parts.clock.after(delayMs, () => void this.#end(id)),
    );
  }

  async #end(id: VmId): Promise<void> {
    const { registry, log } = this.parts;
    const timer = this.#timers.get(id);
    const vm = registry.move(id, 'paused-too-long');
    if (!vm || !isLimited(vm)) return;
    log.warn(
      { vmId: id, name: vm.name },
      'A VM that an I/O error has stopped is ended: resumeBehavior is kill',
    );
    const killed = await kill(this.parts, vm, 'paused-too-long');
    // Another timer: it has run and stopped again meanwhile.
    if (!killed && this.#timers.get(id) === timer) this.#set(id, RETRY_MS);
  }

  /** Of a VM that an agent finds paused when it starts: the metadata tell since when. */
  #leftMs({ domain }: Vm): number {
    const pausedSec = domain?.metadata?.pauseTimeSec;
    if (domain?.metadata?.pauseCode !== 'EIO' || pausedSec === undefined) return LIMIT_MS;
    const pausedMs = this.parts.clock.nowMs() - pausedSec * 1000;
    return Math.min(LIMIT_MS, Math.max(0, LIMIT_MS - pausedMs));
  }
}

function isLimited({ internal, pauseCode, domain }: Vm): boolean {
  return internal === 'Paused' && pauseCode === 'EIO' && domain?.metadata?.resumeBehavior === 'kill';
}
