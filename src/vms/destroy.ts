/**
 * VM.destroy: end the domain, announce Down, remove the definition, forget the VM.
 *
 * It goes before every other operation on the VM (see locks.ts): a pause that hangs in a frozen QEMU, a memory that is
 * being saved, a shutdown that waits for the guest. A VM that is being started is cancelled first (exit 0/10). A
 * repeated request joins the one under way. The Down event always goes out, whether or not libvirt's own event comes in
 * time.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { isActive } from '../domain/vm-found.js';
import { VerbError } from '../domain/errors.js';
import type { Creation } from './create.js';
import { nameOf, notConnected, verbError } from './operation.js';
import type { OperationsParts } from './operation.js';
import type { Shutdowns } from './verbs/shutdown.js';

const VERB = 'VM.destroy';
const CANCEL_DEADLINE_MS = 60_000;
const GRACE_MS = 16_000;
/** A QEMU that is well answers a command in less. */
const SILENT_MS = 3_000;

export class Destruction {
  readonly #running = new Map<VmId, Promise<void>>();

  constructor(
    private readonly parts: OperationsParts,
    private readonly others: {
      readonly creation: Pick<Creation, 'cancel'>;
      readonly shutdowns: Pick<Shutdowns, 'cancel'>;
    },
  ) {}

  /**
   * Ends the VM, removes its definition and forgets it; a Down one is just removed.
   * @param gracefulAttempts how often QEMU is asked to end before it is killed
   * @throws VerbError destroyErr, resourceUnavailable
   */
  run(vm: Vm, gracefulAttempts: number): Promise<void> {
    const running = this.#running.get(vm.id);
    if (running) return running;
    const destruction = this.#run(vm, gracefulAttempts).finally(() => this.#running.delete(vm.id));
    this.#running.set(vm.id, destruction);
    return destruction;
  }

  async #run(vm: Vm, gracefulAttempts: number): Promise<void> {
    const { registry, hypervisor } = this.parts;
    const { id } = vm;
    if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
    this.others.shutdowns.cancel(id);
    const startEnded = this.others.creation.cancel(id);
    if (startEnded) await this.#waitForStart(vm, startEnded);
    const release = registry.locks.seize(id, VERB);
    try {
      await endDomain(this.parts, id, gracefulAttempts);
      await this.#remove(vm);
      registry.forget(id);
    } catch (error) {
      registry.move(id, 'destroy-failed');
      registry.doubt(id);
      throw verbError(error, vm, VERB, 'destroyErr');
    } finally {
      release();
    }
  }

  async #waitForStart(vm: Vm, startEnded: Promise<void>): Promise<void> {
    let giveUp: () => void = () => undefined;
    const late = new Promise<'late'>((resolve) => {
      giveUp = this.parts.clock.after(CANCEL_DEADLINE_MS, () => resolve('late'));
    });
    const outcome = await Promise.race([startEnded, late]);
    giveUp();
    if (outcome === 'late') {
      const sentence = `${nameOf(vm)} is still being started and could not be stopped in ${CANCEL_DEADLINE_MS / 1000} s`;
      throw new VerbError('destroyErr', sentence);
    }
  }

  /** The definition of a domain that this API did not make is left to its owner. */
  async #remove({ id, external }: Vm): Promise<void> {
    if (external) return;
    await this.parts.hypervisor.undefine(id).catch(unlessOver);
    await this.parts.host.removeImages(id);
  }
}

/**
 * Ends the domain if it runs, and commits Down. The caller has the VM's lock.
 * @throws HypervisorError
 */
export async function endDomain(parts: OperationsParts, id: VmId, gracefulAttempts: number): Promise<void> {
  const { registry, hypervisor } = parts;
  if (registry.get(id)?.internal === 'Down') {
    // Somebody may have started it again, which has not come to us yet: removing its definition would not stop it.
    const state = await hypervisor.domainState(id).catch(unlessOver);
    if (!state || !isActive(state)) return;
  }
  registry.move(id, 'destroy-begun');
  if (!(await endGracefully(hypervisor, id, gracefulAttempts))) {
    await hypervisor.destroy(id, { graceful: false }).catch(unlessOver);
  }
  registry.move(id, 'destroyed');
}

/**
 * True where QEMU has ended; false where it has to be killed.
 *
 * libvirt waits 15 s for a QEMU to end, and where another call hangs in its monitor then 30 s more for nothing.
 */
async function endGracefully(hypervisor: Hypervisor, id: VmId, attempts: number): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await isStuck(hypervisor, id)) return false;
    try {
      await hypervisor.destroy(id, { graceful: true }, { deadlineMs: GRACE_MS }).catch(unlessOver);
      return true;
    } catch (error) {
      const kind = error instanceof HypervisorError ? error.kind : undefined;
      if (kind !== 'failed' && kind !== 'timeout') throw error;
    }
  }
  return false;
}

/** The loop that answers the monitor is the one that obeys SIGTERM: asking a QEMU to end that is silent is no use. */
async function isStuck(hypervisor: Hypervisor, id: VmId): Promise<boolean> {
  try {
    const { state, sinceMs } = await hypervisor.controlInfo(id);
    return state === 'occupied' && sinceMs >= SILENT_MS;
  } catch {
    return false;
  }
}

/** "Not there" and "not running" are what a destroy wants. */
function unlessOver(error: unknown): undefined {
  if (error instanceof HypervisorError && (error.kind === 'no-domain' || error.kind === 'invalid-state')) {
    return undefined;
  }
  throw error;
}
