/**
 * Snapshots that an earlier agent left open: it was killed or stopped in the middle. Their mark is in the VM's metadata
 * (snapshot-record.ts). The guest is thawed first of all; then the job is taken up under its old id, so that whoever
 * asks for it learns how it ended, and the mark is removed.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { JobContext } from '../jobs.js';
import { nameOf } from '../operation.js';
import type { OperationsParts, VmName } from '../operation.js';
import { thawSurely } from './freeze.js';
import type { Snapshots } from './snapshot.js';
import { forgetSnapshot, hasTaken, refreshDisks } from './snapshot-outcome.js';
import { parseSnapshotRecord } from './snapshot-record.js';
import type { SnapshotRecord } from './snapshot-record.js';

const VERB = 'VM.snapshot';
const POLL_MS = 2000;
/** Another operation has the VM. */
const RETRY_MS = 5000;

export class SnapshotRecovery {
  /** What was taken up, by VM: the mark of an ended one is seen until the XML is read again. */
  readonly #seen = new Map<VmId, string>();
  readonly #cancels = new Map<VmId, () => void>();
  #unsubscribe: () => void = () => undefined;

  constructor(
    private readonly parts: OperationsParts,
    private readonly snapshots: Pick<Snapshots, 'isRunning'>,
  ) {}

  start(): void {
    const { registry } = this.parts;
    this.#unsubscribe = registry.onChange((id, after) => this.#look(id, after));
    for (const vm of [...registry.all()]) this.#look(vm.id, vm);
  }

  stop(): void {
    this.#unsubscribe();
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  #look(id: VmId, vm: Vm | undefined): void {
    const text = vm?.domain?.metadata?.snapshotJob;
    if (!vm || vm.internal === 'Down' || text === undefined) {
      this.#seen.delete(id);
      return;
    }
    if (this.#seen.get(id) === text || this.snapshots.isRunning(id)) return;
    this.#seen.set(id, text);
    const record = parseSnapshotRecord(text);
    if (record) this.#begin(vm, record);
    else
      this.parts.log.warn(
        { vmId: id, name: vm.name, text },
        'A mark of a snapshot under way is not understood',
      );
  }

  #begin(vm: VmName, record: SnapshotRecord): void {
    const { registry, jobs, clock, log } = this.parts;
    const { id, name } = vm;
    this.#cancels.delete(id);
    if (jobs.list(undefined, [record.jobId])[record.jobId]) {
      void forgetSnapshot(this.parts, vm);
      return;
    }
    if (registry.locks.running(id) !== undefined) {
      this.#cancels.set(
        id,
        clock.after(RETRY_MS, () => this.#begin(vm, record)),
      );
      return;
    }
    const release = registry.locks.take(id, name, VERB);
    log.warn(
      { vmId: id, name, record },
      'A snapshot was under way when an earlier agent ended: it is looked after',
    );
    try {
      jobs.run({ id: record.jobId, type: 'virt', description: 'snapshot_vm' }, (context) =>
        this.#finish(vm, record, context).finally(release),
      );
    } catch (error) {
      release();
      log.error({ vmId: id, name, err: error }, 'A snapshot of an earlier agent cannot be looked after');
    }
  }

  async #finish(
    vm: VmName,
    { files, frozen, untilSec }: SnapshotRecord,
    { signal }: JobContext,
  ): Promise<void> {
    const { parts } = this;
    const wasTaken = await hasTaken(parts, vm.id, files).catch(() => false);
    if (frozen) await thawSurely(parts, vm, signal);
    if (!wasTaken) await this.#untilNoJob(vm.id, untilSec, signal);
    const isTaken = wasTaken || (await hasTaken(parts, vm.id, files));
    if (signal.aborted) return;
    await forgetSnapshot(parts, vm);
    await refreshDisks(parts, vm);
    if (wasTaken || (isTaken && !frozen)) return;
    const what = isTaken
      ? 'the new files were taken into use after its guest was thawed: the old ones are as after a power cut'
      : 'the VM does not write to the new files';
    throw new VerbError(
      'snapshotErr',
      `${VERB} of ${nameOf(vm)} was interrupted by the agent's end: ${what}`,
    );
  }

  /** libvirt goes on by itself, for as long as the caller wanted. */
  async #untilNoJob(id: VmId, untilSec: number, signal: AbortSignal): Promise<void> {
    const { hypervisor, clock } = this.parts;
    const hasJob = (): Promise<boolean> =>
      hypervisor.activeJob(id).then(
        (job) => job !== undefined,
        () => false,
      );
    while (!signal.aborted && (await hasJob())) {
      if (clock.wallMs() > untilSec * 1000) await hypervisor.saving.abortJob(id).catch(() => undefined);
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
    }
  }
}
