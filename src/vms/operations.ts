/**
 * The verbs that change a VM: check -> act -> commit, one at a time per VM; a second one is told what is running.
 *
 * Every operation tolerates being asked twice. What libvirt's reply says is committed at once, so the event that it
 * causes goes out even if libvirt's own never comes; libvirt's event then finds nothing left to change. Where events
 * came while a call was under way, the state is read instead of assumed. create.ts and destroy.ts have the long ones.
 */
import { VerbError } from '../domain/errors.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { causesOfFound } from '../domain/vm-found.js';
import type { CauseName } from '../domain/vm-transitions.js';
import type { VerbInput, VerbResult, VmVerbTable } from '../protocol/verbs.js';
import { Creation } from './create.js';
import type { CreateResult, StartsUnderWay } from './create.js';
import { Destruction } from './destroy.js';
import { nameOf, notConnected, requireVm, verbError } from './operation.js';
import type { OperationsParts } from './operation.js';
import { deviceVerbs } from './verbs/devices.js';
import type { DeviceVerb } from './verbs/devices.js';
import { diskVerbs } from './verbs/disks.js';
import type { DiskVerb } from './verbs/disks.js';
import { guestVerbs } from './verbs/guest.js';
import type { GuestVerb } from './verbs/guest.js';
import { lifeVerbs } from './verbs/life.js';
import type { LifeVerb } from './verbs/life.js';
import { allIoTunePolicies, tuningVerbs } from './verbs/tuning.js';
import type { TuningVerb } from './verbs/tuning.js';

/** A verb that stops or starts the guest's CPUs. */
interface CpuVerb {
  readonly verb: string;
  readonly cause: CauseName;
  readonly cpuRunning: boolean;
  readonly call: (hypervisor: Hypervisor, id: VmId) => Promise<void>;
}

const pause: CpuVerb = {
  verb: 'VM.pause',
  cause: 'paused-by-verb',
  cpuRunning: false,
  call: (hypervisor, id) => hypervisor.suspend(id),
};
const cont: CpuVerb = {
  verb: 'VM.cont',
  cause: 'resumed-by-verb',
  cpuRunning: true,
  call: (hypervisor, id) => hypervisor.resume(id),
};

type CpuVerbName = 'VM.pause' | 'VM.cont' | 'VM.destroy';
export type ServedVerb = CpuVerbName | LifeVerb | DeviceVerb | TuningVerb | DiskVerb | GuestVerb;

export class Operations {
  readonly #creation: Creation;
  readonly #destruction: Destruction;
  /** Verbs on one VM; the API serves them as they are. */
  readonly verbs: VmVerbTable<ServedVerb>;

  constructor(private readonly parts: OperationsParts) {
    this.#creation = new Creation(parts);
    this.#destruction = new Destruction(parts, this.#creation);
    this.verbs = {
      'VM.pause': async (id) => {
        await this.pause(id);
        return { vmList: {} };
      },
      'VM.cont': async (id) => {
        await this.cont(id);
        return { vmList: {} };
      },
      'VM.destroy': async (id, { gracefulAttempts }) => {
        await this.destroy(id, gracefulAttempts);
        return true as const;
      },
      ...lifeVerbs(parts),
      ...deviceVerbs(parts),
      ...tuningVerbs(parts),
      ...diskVerbs(parts),
      ...guestVerbs(parts),
    };
  }

  get starts(): StartsUnderWay {
    return this.#creation.waiting;
  }

  /** Stops the guest's CPUs; a paused VM stays paused. */
  async pause(id: VmId): Promise<void> {
    const vm = this.#require(id);
    if (vm.internal === 'Down') throw new VerbError('down', { vmId: id });
    await this.#switchCpus(vm, pause);
  }

  /** Lets the guest's CPUs run; a running VM runs on. */
  async cont(id: VmId): Promise<void> {
    const vm = this.#require(id);
    if (!isContinuable(vm)) {
      throw new VerbError('unexpected', `${nameOf(vm)} cannot be continued while it is ${vm.status}`);
    }
    await this.#switchCpus(vm, cont);
  }

  /**
   * Takes the domain XML and answers at once; the start itself goes on, and its end is an event.
   * @throws VerbError exist, general (no domain XML), resourceUnavailable, recovery
   */
  create({ xml }: VerbInput<'VM.create'>['vmParams']): CreateResult {
    this.#checkReady();
    return this.#creation.begin(xml);
  }

  /** Of all VMs; those that do not answer are left out. */
  ioTunePolicies(): Promise<VerbResult<'Host.getAllVmIoTunePolicies'>> {
    return allIoTunePolicies(this.parts);
  }

  /**
   * Ends the VM, removes its definition and forgets it; a Down one is just removed.
   * @param gracefulAttempts how often QEMU is asked to end before it is killed
   * @throws VerbError noVM, destroyErr, resourceUnavailable, recovery
   */
  async destroy(id: VmId, gracefulAttempts = 1): Promise<void> {
    await this.#destruction.run(this.#require(id), gracefulAttempts);
  }

  #checkReady(): void {
    if (!this.parts.isReady()) throw new VerbError('recovery');
  }

  #require(id: VmId): Vm {
    return requireVm(this.parts, id);
  }

  async #switchCpus(vm: Vm, { verb, cause, cpuRunning, call }: CpuVerb): Promise<void> {
    const { registry, hypervisor } = this.parts;
    const { id, name } = vm;
    if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
    const release = registry.locks.take(id, name, verb);
    const watch = registry.watch();
    try {
      await call(hypervisor, id);
      if (!watch.touched(id)) registry.move(id, cause);
      else if (registry.get(id)?.cpuRunning !== cpuRunning) registry.doubt(id);
    } catch (error) {
      if (!(await this.#isSo(vm, cpuRunning, error))) throw this.#failure(error, vm, verb);
    } finally {
      watch.end();
      release();
    }
  }

  /** After "the domain is not in a state for that": true where it is in the wanted one already. */
  async #isSo({ id }: Vm, cpuRunning: boolean, error: unknown): Promise<boolean> {
    if (!(error instanceof HypervisorError && error.kind === 'invalid-state')) return false;
    const { registry, hypervisor } = this.parts;
    const watch = registry.watch();
    try {
      const causes = causesOfFound(await hypervisor.domainState(id));
      if (!watch.touched(id)) registry.change(id, { causes });
    } catch {
      return false;
    } finally {
      watch.end();
    }
    const vm = registry.get(id);
    return vm !== undefined && vm.internal !== 'Down' && vm.cpuRunning === cpuRunning;
  }

  /** What failed half-way or without an answer has to be looked at. */
  #failure(error: unknown, vm: Vm, verb: string): VerbError {
    this.parts.registry.doubt(vm.id);
    return verbError(error, vm, verb);
  }
}

/** VDSM refuses to continue what is being saved, and a VM that is migrated unless an I/O error stopped it. */
function isContinuable({ internal, pauseCode }: Vm): boolean {
  if (internal === 'Migration Source') return pauseCode !== undefined && pauseCode !== 'POSTCOPY';
  return internal !== 'Down' && internal !== 'Saving State';
}
