/**
 * VM.destroy: end the domain, announce Down, remove the definition, forget the VM.
 *
 * It goes before every other operation on the VM (see locks.ts): a pause that hangs in a frozen QEMU, a memory that is
 * being saved, a shutdown that waits for the guest. A VM that is being started is cancelled first (exit 0/10). A
 * repeated request joins the one under way. The Down event always goes out, whether or not libvirt's own event comes in
 * time.
 */
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { VerbError } from '../domain/errors.js';
import type { Creation } from './create.js';
import { endDomain, unlessOver } from './end-domain.js';
import { nameOf, notConnected, verbError } from './operation.js';
import type { OperationsParts } from './operation.js';
import type { Shutdowns } from './verbs/shutdown.js';

const VERB = 'VM.destroy';
const CANCEL_DEADLINE_MS = 60_000;

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
