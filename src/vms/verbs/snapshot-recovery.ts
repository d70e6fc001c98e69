/**
 * Snapshots that an earlier agent left open: it was killed or stopped in the middle. Their mark is in the VM's metadata
 * (snapshot-record.ts). The guest is thawed first of all; then the job is taken up under its old id, so that whoever
 * asks for it learns how it ended, and the mark is removed.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import { hasComeUp } from '../announcement.js';
import type { JobContext } from '../jobs.js';
import { nameOf } from '../operation.js';
import type { OperationsParts, VmName } from '../operation.js';
import { thawSurely } from './freeze.js';
import { forgetSnapshot, hasTaken, refreshDisks } from './snapshot-outcome.js';
import { parseSnapshotRecord } from './snapshot-record.js';
import type { SnapshotRecord } from './snapshot-record.js';

const VERB = 'VM.snapshot';
const POLL_MS = 2000;
/** Another operation has the VM, or another agent is at it. */
const RETRY_MS = 5000;

export class SnapshotRecovery {
  /** By VM, while the VM cannot be looked after yet. */
  readonly #waiting = new Map<VmId, () => void>();
  #unsubscribe: () => void = () => undefined;

  constructor(private readonly parts: OperationsParts) {}

  start(): void {
    const { registry } = this.parts;
    // A mark that comes later is of a job of this agent, or of one beside it.
    this.#unsubscribe = registry.onChange((id, after, before) => {
      if (after && hasComeUp(before, after)) this.#look(id);
    });
    for (const { id } of [...registry.all()]) this.#look(id);
  }

  stop(): void {
    this.#unsubscribe();
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }

  #look(id: VmId): void {
    const { registry, identity, jobs, log } = this.parts;
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
    const vm = registry.get(id);
    const text = vm?.domain?.metadata?.snapshotJob;
    if (!vm || vm.internal === 'Down' || text === undefined) return;
    const record = parseSnapshotRecord(text);
    if (!record) {
      log.warn({ vmId: id, name: vm.name, text }, 'A mark of a snapshot under way is not understood');
    } else if (identity.isOtherRunning(record.agent) || registry.locks.running(id) !== undefined) {
      this.#waiting.set(
        id,
        this.parts.clock.after(RETRY_MS, () => this.#look(id)),
      );
    } else if (jobs.list(undefined, [record.jobId])[record.jobId]) {
      void forgetSnapshot(this.parts, vm);
    } else {
      this.#begin(vm, record);
    }
  }

  #begin(vm: VmName, record: SnapshotRecord): void {
    const { registry, jobs, log } = this.parts;
    const { id, name } = vm;
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
