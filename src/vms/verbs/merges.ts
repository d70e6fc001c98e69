/**
 * The merges under way on this host: each is followed to its end by libvirt's events and by asking every few seconds, and
 * shown in its VM's record (vmJobs) meanwhile. They outlive the agent: what the metadata tells of is taken up again.
 *
 * A commit of what the guest writes to is copied, then 'ready', and needs a pivot; any other ends by itself. How it ended
 * is told by the disk's chain in the XML, never by libvirt's word alone. A merge leaves the record only after the record
 * has the new chain, since an engine looks there when the merge is gone. Where it fails, the VM runs on as before.
 */
import { isUnanswered } from '../../domain/hypervisor-failure.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { DomainEvent } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import { RateLimiter } from '../../util/log.js';
import { hasComeUp } from '../announcement.js';
import { nameOf } from '../operation.js';
import type { OperationsParts, VmName } from '../operation.js';
import { updateDescription } from '../refresher.js';
import { followedMerge, vmJobOf } from './followed-merge.js';
import type { Followed } from './followed-merge.js';
import { isCommit, isMerged, isReady } from './merge-outcome.js';
import { mergesText, parseMerges } from './merge-record.js';
import type { Merge } from './merge-record.js';
import { syncVolumes } from './volume-metadata.js';

const POLL_MS = 5000;
/** Then the guest stays on the file that it writes to. */
const MAX_PIVOTS = 5;
const CALL = { deadlineMs: 35_000 };

export class Merges {
  readonly #followed = new Map<VmId, Followed[]>();
  readonly #removers: (() => void)[] = [];
  readonly #quiet: RateLimiter;
  #stopped = false;

  constructor(private readonly parts: OperationsParts) {
    this.#quiet = new RateLimiter(parts.clock, 60_000);
  }

  start(): void {
    const { registry, hypervisor } = this.parts;
    this.#removers.push(
      registry.onChange((id, after, before) => this.#changed(id, after, before)),
      hypervisor.addListener({
        connected: () => this.#pollAll(),
        domainEvent: (event) => this.#event(event),
      }),
    );
    for (const vm of [...registry.all()]) this.#changed(vm.id, vm, undefined);
  }

  /** The merges go on without us. */
  stop(): void {
    this.#stopped = true;
    for (const remove of this.#removers.splice(0)) remove();
    for (const id of [...this.#followed.keys()]) this.#drop(id);
  }

  of(id: VmId): readonly Merge[] {
    return (this.#followed.get(id) ?? []).map(({ merge }) => merge);
  }

  /**
   * Starts the commit and follows it.
   * @throws HypervisorError; where no answer came it may run all the same, and is followed
   */
  async begin(vm: VmName, merge: Merge): Promise<void> {
    const { id } = vm;
    const { drive: disk, base, top, active, bandwidthMiB: bandwidth } = merge;
    const followed = this.#add(vm, merge);
    // Before libvirt has the job it would be taken for one that has ended.
    followed.polling = true;
    this.#show(id);
    try {
      await this.#remember(id);
      await this.parts.hypervisor.disks.commit(id, disk, { base, top, active, bandwidth });
      this.parts.log.info({ vmId: id, name: vm.name, merge }, 'A merge has begun');
    } catch (error) {
      if (!isUnanswered(error)) {
        this.#remove(followed);
        this.#show(id);
        await this.#remember(id).catch((failure: unknown) => this.#notRemembered(vm, failure));
      }
      throw error;
    } finally {
      followed.polling = false;
      void this.#poll(followed);
    }
  }

  #add(vm: VmName, merge: Merge): Followed {
    const followed = followedMerge(vm, merge);
    this.#followed.set(vm.id, [...(this.#followed.get(vm.id) ?? []), followed]);
    return followed;
  }

  #remove(followed: Followed): void {
    const { id } = followed.vm;
    followed.over = true;
    followed.cancelPoll();
    const rest = (this.#followed.get(id) ?? []).filter((each) => each !== followed);
    if (rest.length > 0) this.#followed.set(id, rest);
    else this.#followed.delete(id);
  }

  #drop(id: VmId): void {
    for (const followed of this.#followed.get(id) ?? []) this.#remove(followed);
  }

  #changed(id: VmId, after: Vm | undefined, before: Vm | undefined): void {
    if (!after || after.internal === 'Down') this.#ended(id, after);
    else if (hasComeUp(before, after)) this.#takeUp(after);
  }

  /** libvirt's jobs end with the QEMU; the files stay as they are, and readable. */
  #ended(id: VmId, down: Vm | undefined): void {
    if (!this.#followed.has(id)) return;
    this.parts.log.warn({ vmId: id, merges: this.of(id) }, 'A VM has ended during a merge, which is void');
    this.#drop(id);
    if (down) void this.#remember(id).catch((error: unknown) => this.#notRemembered(down, error));
  }

  #takeUp(vm: Vm): void {
    const text = vm.domain?.metadata?.blockJobs;
    if (text === undefined || this.#followed.has(vm.id)) return;
    const merges = parseMerges(text);
    const { log, clock } = this.parts;
    if (!merges)
      log.warn({ vmId: vm.id, name: vm.name, text }, 'A mark of merges under way is not understood');
    for (const merge of merges ?? []) {
      log.info({ vmId: vm.id, name: vm.name, merge }, 'A merge that an earlier agent has begun is followed');
      const followed = this.#add(vm, merge);
      followed.cancelPoll = clock.after(0, () => void this.#poll(followed));
    }
    // Not within the registry's own change.
    if (!merges || merges.length === 0) clock.after(0, () => this.#show(vm.id));
  }

  #event(event: DomainEvent): void {
    if (event.kind !== 'block-job') return;
    for (const followed of this.#followed.get(event.id) ?? []) {
      if (followed.merge.drive === event.disk) void this.#poll(followed);
    }
  }

  #pollAll(): void {
    for (const all of this.#followed.values()) for (const followed of all) void this.#poll(followed);
  }

  #schedule(followed: Followed): void {
    followed.cancelPoll();
    if (followed.over || this.#stopped) return;
    followed.cancelPoll = this.parts.clock.after(POLL_MS, () => void this.#poll(followed));
  }

  async #poll(followed: Followed): Promise<void> {
    followed.again = true;
    if (followed.polling) return;
    followed.polling = true;
    while (followed.again && !followed.over && !this.#stopped) {
      followed.again = false;
      await this.#step(followed).catch((error: unknown) => this.#stepFailed(followed, error));
    }
    followed.polling = false;
    this.#schedule(followed);
  }

  async #step(followed: Followed): Promise<void> {
    const { vm, merge } = followed;
    // A QEMU that does not answer would only hold the call, and a worker of libvirt's with it.
    if (this.parts.registry.get(vm.id)?.monitorResponsive === false) return;
    const job = await this.parts.hypervisor.disks.job(vm.id, merge.drive, CALL);
    if (followed.over) return;
    if (!isCommit(job)) {
      await this.#conclude(followed);
      return;
    }
    followed.cur = job.cur;
    followed.end = job.end;
    this.#show(vm.id);
    if (isReady(job)) await this.#pivot(followed);
  }

  async #pivot(followed: Followed): Promise<void> {
    const { vm, merge } = followed;
    const { disks } = this.parts.hypervisor;
    try {
      await disks.endJob(vm.id, merge.drive, { pivot: true });
    } catch (error) {
      if (isUnanswered(error) || isBusy(error) || ++followed.pivotFailures < MAX_PIVOTS) throw error;
      await disks.endJob(vm.id, merge.drive, { pivot: false });
      this.parts.log.error(
        { vmId: vm.id, name: vm.name, merge, err: error },
        'A merge was cancelled: the guest could not be brought to go on on the merged file',
      );
    }
    await this.#conclude(followed);
  }

  /** There is no job any more. */
  async #conclude(followed: Followed): Promise<void> {
    const { registry, hypervisor, log, metrics } = this.parts;
    const { vm, merge } = followed;
    const domain = await hypervisor.describe(vm.id);
    if (followed.over) return;
    const done = isMerged(domain.xml, merge);
    updateDescription(registry, domain);
    this.#remove(followed);
    this.#show(vm.id);
    metrics.merges_total.inc({ result: done ? 'done' : 'failed' });
    const fields = { vmId: vm.id, name: vm.name, merge };
    if (done) log.info(fields, 'A merge is done');
    else log.error(fields, `A merge has failed: ${nameOf(vm)} runs on with ${merge.top} in its chain`);
    await this.#remember(vm.id).catch((error: unknown) => this.#notRemembered(vm, error));
    await syncVolumes(this.parts, domain);
  }

  #stepFailed({ vm, merge }: Followed, error: unknown): void {
    if (error instanceof HypervisorError && error.kind === 'no-domain') return;
    this.#quiet.run(merge.id, (swallowed) =>
      this.parts.log.warn(
        { vmId: vm.id, name: vm.name, merge, err: error, swallowed },
        'A merge cannot be looked at or ended now; it is tried again',
      ),
    );
  }

  /** In the VM's record. */
  #show(id: VmId): void {
    const blockJobs = (this.#followed.get(id) ?? []).map(vmJobOf);
    const vm = this.parts.registry.get(id);
    if (!vm || JSON.stringify(vm.blockJobs) === JSON.stringify(blockJobs)) return;
    this.parts.registry.change(id, { facts: { blockJobs } });
  }

  #remember(id: VmId): Promise<void> {
    return this.parts.metadata.setValues(id, { jobs: mergesText(this.of(id)) });
  }

  /** Found to be over at the agent's next start. */
  #notRemembered({ id, name }: VmName, error: unknown): void {
    if (error instanceof HypervisorError && error.kind === 'no-domain') return;
    this.parts.log.warn(
      { vmId: id, name, err: error },
      "A VM's metadata still tells of merges that have ended",
    );
  }
}

/** It was not even asked. */
function isBusy(error: unknown): boolean {
  return error instanceof HypervisorError && error.kind === 'busy';
}
