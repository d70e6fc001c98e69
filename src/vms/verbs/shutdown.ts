/**
 * VM.shutdown: asks the guest to end or to reboot, by ever stronger means, in the background.
 *
 * How a chain works: guest agent (where its channel is connected) -> ACPI (where the VM has it) -> with `force`, end or
 * reset. Each step is given `timeout` seconds for the event that it is to cause; a step that is refused leads to the
 * next at once. No lock is held while a chain waits, so other verbs on the VM go on. There is one chain per VM: a
 * repeated request joins it, another one replaces it, VM.destroy and VM.hibernate end it. It does not survive the agent,
 * as in VDSM.
 */
import { VerbError } from '../../domain/errors.js';
import { isUnanswered } from '../../domain/hypervisor-failure.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { HypervisorErrorKind } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { VerbInput } from '../../protocol/verbs.js';
import { endDomain } from '../end-domain.js';
import { nameOf, notConnected, requireVm } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { isBeingStarted } from '../refresher.js';

const VERB = 'VM.shutdown';

type Order = Pick<VerbInput<'VM.shutdown'>, 'reboot' | 'timeout' | 'force'>;

interface Chain {
  readonly vm: Vm;
  readonly order: Order;
  /** Resolves when there is nothing left to do: it has happened, or somebody else sees to the VM. */
  readonly over: Promise<'over'>;
  readonly end: () => void;
  ended: boolean;
}

type Means = 'agent' | 'acpi';
/** Of a guest that ends already, whose answer to the call before has gone with it: its event is still to come. */
const signsOfTheEnd: ReadonlySet<HypervisorErrorKind> = new Set(['invalid-state', 'no-domain']);

export class Shutdowns {
  readonly #chains = new Map<VmId, Chain>();

  constructor(private readonly parts: OperationsParts) {}

  /**
   * Returns when the request is accepted; what comes of it is told by events. A chain that achieves nothing puts the
   * status back to what it was; Powering down ends after 300 s in any case.
   *
   * `delay` and `message` are accepted and have no effect: they are for the oVirt guest agent of old, and QEMU's agent
   * has no such thing. VDSM does the same; so nothing is to be waited for but `timeout`.
   * @throws VerbError noVM (also for a Down VM, as VDSM has it), migrationActive, resourceUnavailable, recovery
   */
  begin(id: VmId, { reboot, timeout, force }: Order): void {
    const { registry, hypervisor } = this.parts;
    const vm = requireVm(this.parts, id);
    if (vm.internal === 'Down') throw new VerbError('noVM', { vmId: id });
    if (vm.internal === 'Saving State') throw new VerbError('migrationActive', { vmId: id });
    if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
    const running = registry.locks.running(id);
    if (running === 'VM.destroy' || isBeingStarted(vm)) {
      const sentence = `${nameOf(vm)} is busy: running ${running ?? 'VM.create'}; try again when it has ended`;
      throw new VerbError('resourceUnavailable', sentence);
    }
    const order: Order = { reboot, timeout, force };
    const present = this.#chains.get(id);
    registry.move(id, reboot ? 'reboot-ordered' : 'shutdown-ordered');
    if (present && isSame(present.order, order)) return;
    present?.end();
    const chain = this.#newChain(vm, order);
    this.#chains.set(id, chain);
    void this.#run(chain);
  }

  /** Ends the chain of a VM that somebody else sees to; its status stays as it is. */
  cancel(id: VmId): void {
    this.#chains.get(id)?.end();
  }

  #newChain(vm: Vm, order: Order): Chain {
    const { registry, hypervisor } = this.parts;
    const { id } = vm;
    let resolve: (word: 'over') => void = () => undefined;
    const over = new Promise<'over'>((resolveOver) => (resolve = resolveOver));
    const removers = [
      registry.onChange((changed, after) => {
        if (changed === id && (after === undefined || after.internal === 'Down')) chain.end();
      }),
      hypervisor.addListener({
        domainEvent: (event) => {
          if (order.reboot && event.id === id && event.kind === 'reboot') chain.end();
        },
      }),
    ];
    const end = (): void => {
      if (chain.ended) return;
      chain.ended = true;
      for (const remove of removers) remove();
      if (this.#chains.get(id) === chain) this.#chains.delete(id);
      resolve('over');
    };
    const chain: Chain = { vm, order, over, end, ended: false };
    return chain;
  }

  async #run(chain: Chain): Promise<void> {
    const { registry, log } = this.parts;
    const { vm, order } = chain;
    const fields = { vmId: vm.id, name: vm.name, reboot: order.reboot };
    try {
      for (const means of await this.#meansOf(vm)) {
        if (chain.ended) return;
        await this.#ask(chain, means);
      }
      if (chain.ended) return;
      if (order.force) {
        await this.#force(chain);
      } else {
        log.info(fields, 'A guest did not obey a shutdown or reboot');
        registry.move(vm.id, 'shutdown-given-up');
      }
    } catch (error) {
      log.warn({ ...fields, err: error }, 'A VM could not be shut down or rebooted by force');
      if (!isUnanswered(error)) registry.move(vm.id, 'shutdown-given-up');
      registry.doubt(vm.id);
    } finally {
      chain.end();
    }
  }

  /** Read anew: the record may not know yet that the agent has come or gone. */
  async #meansOf({ id, domain }: Vm): Promise<readonly Means[]> {
    const now = (await this.parts.hypervisor.describe(id).catch(() => undefined)) ?? domain;
    return [...(now?.guestAgentConnected ? ['agent' as const] : []), ...(now?.acpi ? ['acpi' as const] : [])];
  }

  /** Resolves when the chain is over, the means was refused, or its time has passed. */
  async #ask({ vm, order, over }: Chain, means: Means): Promise<void> {
    const { hypervisor, clock, log } = this.parts;
    const { power } = hypervisor;
    const gaveUp = new AbortController();
    const options = { signal: gaveUp.signal };
    const call = order.reboot ? power.reboot(vm.id, means, options) : power.shutdown(vm.id, means, options);
    const refused = new Promise<void>((resolve) => {
      call.catch((error: unknown) => {
        if (gaveUp.signal.aborted) return;
        const fields = { vmId: vm.id, name: vm.name, means, reboot: order.reboot, err: error };
        log.info(fields, 'A guest could not be asked to shut down or reboot');
        if (!mayHaveWorked(error)) resolve();
      });
    });
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => (cancel = clock.after(order.timeout * 1000, resolve)));
    await Promise.race([over, refused, late]);
    cancel();
    gaveUp.abort();
  }

  async #force({ vm, order }: Chain): Promise<void> {
    if (order.reboot) return this.parts.hypervisor.power.reset(vm.id);
    const release = this.parts.registry.locks.seize(vm.id, VERB);
    try {
      await endDomain(this.parts, vm.id, 1);
    } finally {
      release();
    }
  }
}

function mayHaveWorked(error: unknown): boolean {
  return isUnanswered(error) || (error instanceof HypervisorError && signsOfTheEnd.has(error.kind));
}

function isSame(a: Order, b: Order): boolean {
  return a.reboot === b.reboot && a.timeout === b.timeout && a.force === b.force;
}
