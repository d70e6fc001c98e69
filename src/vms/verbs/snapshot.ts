/**
 * VM.snapshot: the VM goes on writing to new files, so that the present ones can be copied or gone back to.
 *
 * A job with these steps: remember it in the metadata -> look at the new files -> freeze the guest -> libvirt's snapshot ->
 * thaw -> read the VM's XML again -> forget. It has the VM's lock from before the verb's answer until its end. Invariants:
 * what was frozen is thawed on every way out, also when the agent stops or the time is over; the job is 'done' only if
 * the VM writes to the new files, and consistently. What the agent's end leaves open, snapshot-recovery.ts closes.
 */
import { randomUUID } from 'node:crypto';
import { VerbError } from '../../domain/errors.js';
import { isUnanswered } from '../../domain/hypervisor-failure.js';
import type { VmId } from '../../domain/ids.js';
import type { VerbInput } from '../../protocol/verbs.js';
import { textOf } from '../../util/text.js';
import type { JobContext } from '../jobs.js';
import { claim, nameOf, requireVm, verbError } from '../operation.js';
import type { OperationsParts, VmName } from '../operation.js';
import { freeze, thawSurely } from './freeze.js';
import type { ImageFiles } from './image-files.js';
import { checkNewFiles } from './snapshot-files.js';
import type { CheckedFiles } from './snapshot-files.js';
import { forgetSnapshot, hasTaken, refreshDisks } from './snapshot-outcome.js';
import { checkTimeouts, planSnapshot } from './snapshot-plan.js';
import type { SnapshotPlan } from './snapshot-plan.js';
import { snapshotRecordText } from './snapshot-record.js';
import { snapshotXml } from './snapshot-xml.js';

const VERB = 'VM.snapshot';
/** Without memory it is a matter of moments, unless the storage hangs: others need the place at libvirt then. */
const DISK_ONLY_MS = 120_000;
/** libvirt's answer to a cancelled job; without it the call is given up. */
const ABORT_GRACE_MS = 40_000;

type SnapshotInput = VerbInput<'VM.snapshot'>;

/** One run of the job. */
interface Run {
  readonly vm: VmName;
  readonly plan: SnapshotPlan;
  readonly jobId: string;
  readonly context: JobContext;
}

export class Snapshots {
  /** The job that works on the VM. */
  readonly #running = new Map<VmId, string>();

  constructor(
    private readonly parts: OperationsParts,
    private readonly images: ImageFiles,
  ) {}

  /**
   * Begins the job; asked twice for the same one, it says so once more.
   * @throws VerbError invalidParameter, missParam, imageErr, jobExists, and those of every operation
   */
  async begin(id: VmId, input: SnapshotInput): Promise<true> {
    const { jobs, hypervisor } = this.parts;
    requireVm(this.parts, id);
    checkTimeouts(input);
    const jobId = input.jobUUID ?? randomUUID();
    if (this.#running.get(id) === jobId) return true;
    const { vm, release } = claim(this.parts, { id, verb: VERB });
    const end = (): void => {
      if (this.#running.get(id) === jobId) this.#running.delete(id);
      release();
    };
    this.#running.set(id, jobId);
    try {
      const plan = planSnapshot(await hypervisor.describe(id), input, vm.cpuRunning);
      jobs.run({ id: jobId, type: 'virt', description: 'snapshot_vm' }, (context) =>
        this.#run({ vm, plan, jobId, context }).finally(end),
      );
      return true;
    } catch (error) {
      end();
      throw verbError(error, vm, VERB);
    }
  }

  async #run(run: Run): Promise<void> {
    const { vm, plan, context } = run;
    if (plan.files.length === 0 && plan.memoryPath === undefined) return;
    try {
      await this.#remember(run);
      const files = await checkNewFiles(this.parts.hypervisor, this.images, vm.id, plan.files);
      await this.#take(run, files);
    } catch (error) {
      this.parts.registry.doubt(vm.id);
      throw error instanceof VerbError
        ? error
        : new VerbError('snapshotErr', `${VERB} of ${nameOf(vm)}: ${textOf(error)}`, { cause: error });
    } finally {
      if (!context.signal.aborted) {
        await forgetSnapshot(this.parts, vm);
        await refreshDisks(this.parts, vm);
      }
    }
  }

  async #remember({ vm, plan, jobId }: Run): Promise<void> {
    const record = {
      jobId,
      agent: this.parts.identity.self,
      untilSec: Math.ceil((this.parts.clock.wallMs() + plan.timeoutMs) / 1000),
      frozen: plan.freeze,
      files: filesOf(plan),
    };
    await this.parts.metadata.setValues(vm.id, { snapshot_job: snapshotRecordText(record) });
  }

  /** With the guest frozen where that is possible; a guest that cannot be frozen is taken as it is, as VDSM does. */
  async #take(run: Run, files: CheckedFiles): Promise<void> {
    const { vm, plan, context } = run;
    const isStopped = (): boolean => context.signal.aborted;
    if (isStopped()) throw stopped();
    const frozen = plan.freeze && (await this.#freeze(vm));
    const guard = new SnapshotGuard(this.parts, run, frozen);
    try {
      if (!isStopped()) await this.#ask(run, files, guard.givenUp);
      if (isStopped()) throw stopped();
    } catch (error) {
      if (isStopped()) throw stopped();
      if (!isUnanswered(error) || !(await hasTaken(this.parts, vm.id, filesOf(plan)))) {
        throw guard.timedOut ? timeoutError(plan, error) : error;
      }
    } finally {
      await guard.end();
    }
    if (guard.thawedEarly) throw inconsistent(plan);
  }

  async #ask({ vm, plan }: Run, { files, reuse }: CheckedFiles, signal: AbortSignal): Promise<void> {
    const xml = snapshotXml(files, plan.others, plan.memoryPath);
    const diskOnly = plan.memoryPath === undefined;
    const how = { diskOnly, reuse, atomic: true, quiesce: false };
    const deadlineMs = diskOnly ? Math.min(plan.timeoutMs, DISK_ONLY_MS) : Infinity;
    await this.parts.hypervisor.disks.snapshot(vm.id, xml, how, { deadlineMs, signal });
  }

  async #freeze(vm: VmName): Promise<boolean> {
    try {
      await freeze(this.parts, vm);
      return true;
    } catch (error) {
      const fields = { vmId: vm.id, name: vm.name, err: error };
      this.parts.log.warn(fields, 'A guest could not be frozen: its snapshot is as after a power cut');
      return false;
    }
  }
}

/** Watches the time of a snapshot, and sees to it that the guest is thawed once and in time. */
class SnapshotGuard {
  timedOut = false;
  /** Before libvirt had answered. */
  thawedEarly = false;
  readonly #giveUp = new AbortController();
  readonly #removers: (() => void)[] = [];
  #thaw: Promise<boolean> | undefined;

  constructor(
    private readonly parts: OperationsParts,
    private readonly run: Run,
    private readonly frozen: boolean,
  ) {
    const { plan, context } = run;
    const onStop = (): void => {
      this.#giveUp.abort();
      void this.#thawOnce();
    };
    context.signal.addEventListener('abort', onStop);
    this.#removers.push(
      () => context.signal.removeEventListener('abort', onStop),
      parts.clock.after(plan.timeoutMs, () => void this.#timeOut()),
    );
    if (frozen) {
      this.#removers.push(
        parts.clock.after(plan.freezeTimeoutMs, () => {
          this.thawedEarly = true;
          void this.#thawOnce();
        }),
      );
    }
    if (context.signal.aborted) onStop();
  }

  /** The call to libvirt is not waited for any longer. */
  get givenUp(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** The snapshot was taken or has failed. */
  async end(): Promise<void> {
    for (const remove of this.#removers.splice(0)) remove();
    await this.#thawOnce();
  }

  #thawOnce(): Promise<boolean> {
    if (!this.frozen) return Promise.resolve(true);
    this.#thaw ??= thawSurely(this.parts, this.run.vm, this.run.context.signal);
    return this.#thaw;
  }

  async #timeOut(): Promise<void> {
    this.timedOut = true;
    const { hypervisor, clock, log } = this.parts;
    const { vm } = this.run;
    this.#removers.push(clock.after(ABORT_GRACE_MS, () => this.#giveUp.abort()));
    await hypervisor.saving.abortJob(vm.id).catch((error: unknown) => {
      log.warn(
        { vmId: vm.id, name: vm.name, err: error },
        'A snapshot that takes too long could not be aborted',
      );
    });
  }
}

/** New file by target name. */
function filesOf(plan: SnapshotPlan): Readonly<Record<string, string>> {
  return Object.fromEntries(plan.files.map(({ disk, path }) => [disk, path]));
}

function stopped(): VerbError {
  return new VerbError('snapshotErr', 'the agent was stopped meanwhile; the next one says how it ended');
}

function timeoutError({ timeoutMs }: SnapshotPlan, cause: unknown): VerbError {
  const why = `it did not end within ${timeoutMs / 60_000} minutes and was aborted (${textOf(cause)})`;
  return new VerbError('snapshotErr', why, { cause });
}

function inconsistent({ freezeTimeoutMs }: SnapshotPlan): VerbError {
  return new VerbError(
    'snapshotErr',
    `the VM writes to the new files, but its guest was thawed after ${freezeTimeoutMs / 60_000} minutes, before they were ` +
      'taken into use: the old ones are as after a power cut',
  );
}
