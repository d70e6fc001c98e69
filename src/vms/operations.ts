/**
 * The verbs that change a VM, put together: check -> act -> commit, one at a time per VM (operation.ts). The work itself
 * is in create.ts, destroy.ts and verbs/.
 */
import { VerbError } from '../domain/errors.js';
import type { VerbInput, VerbResult, VmVerbTable } from '../protocol/verbs.js';
import type { Service } from '../util/lifecycle.js';
import { Creation } from './create.js';
import type { CreateResult } from './create.js';
import { Destruction } from './destroy.js';
import type { OperationsParts } from './operation.js';
import { restoreSourceOf } from './restore.js';
import type { StartsUnderWay } from './start-places.js';
import { launchStep, restoreStep } from './start-step.js';
import { deviceVerbs } from './verbs/devices.js';
import type { DeviceVerb } from './verbs/devices.js';
import { DiskWork } from './verbs/disks.js';
import type { DiskVerb } from './verbs/disks.js';
import { guestVerbs } from './verbs/guest.js';
import type { GuestVerb } from './verbs/guest.js';
import { allIoTunePolicies } from './verbs/io-tune.js';
import { lifeVerbs } from './verbs/life.js';
import type { LifeVerb } from './verbs/life.js';
import { Shutdowns } from './verbs/shutdown.js';
import { tuningVerbs } from './verbs/tuning.js';
import type { TuningVerb } from './verbs/tuning.js';

export type ServedVerb = LifeVerb | DeviceVerb | TuningVerb | DiskVerb | GuestVerb;

export class Operations implements Service {
  readonly #creation: Creation;
  readonly #disks: DiskWork;
  /** Verbs on one VM; the API serves them as they are. */
  readonly verbs: VmVerbTable<ServedVerb>;

  constructor(private readonly parts: OperationsParts) {
    const creation = new Creation(parts);
    const shutdowns = new Shutdowns(parts);
    const destruction = new Destruction(parts, { creation, shutdowns });
    this.#creation = creation;
    this.#disks = new DiskWork(parts, parts.images);
    this.verbs = {
      ...lifeVerbs(parts, { shutdowns, destruction }),
      ...deviceVerbs(parts, shutdowns),
      ...tuningVerbs(parts),
      ...this.#disks.verbs,
      ...guestVerbs(parts),
    };
  }

  /** Takes up work on disks that earlier agents have left. */
  start(): Promise<void> {
    this.#disks.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#disks.stop();
    return Promise.resolve();
  }

  get starts(): StartsUnderWay {
    return this.#creation.waiting;
  }

  /**
   * Takes the domain XML and answers at once; the start itself goes on, and its end is an event.
   * @throws VerbError exist, general (no domain XML), invalidParameter (saved memory), resourceUnavailable, recovery
   */
  create(vmParams: VerbInput<'VM.create'>['vmParams']): CreateResult {
    const { parts } = this;
    if (!parts.isReady()) throw new VerbError('recovery');
    const saved = restoreSourceOf(vmParams);
    const step = saved ? restoreStep(parts, saved) : launchStep(parts.hypervisor);
    return this.#creation.begin(vmParams.xml, step);
  }

  /** Of all VMs that run. */
  ioTunePolicies(): Promise<VerbResult<'Host.getAllVmIoTunePolicies'>> {
    return allIoTunePolicies(this.parts);
  }
}
