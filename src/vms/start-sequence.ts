/**
 * One start from its place in line to a running VM: connected -> stale definitions removed -> XML prepared -> images and
 * folders made -> defined -> run -> read back.
 *
 * Domains are persistent and carry their metadata from the definition on, so that a Down VM, its exit record and a start
 * that this agent did not live to finish are known to the next one. There is no placeholder domain in front of the
 * definition (VDSM has one): what fails before it has no QEMU anywhere, and an engine takes a VM that vanishes while it
 * is starting for one that failed to start.
 */
import type { DomainDescription } from '../domain/devices.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { DomainState } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import { causesOfFound, isActive, isStarting } from '../domain/vm-found.js';
import type { CauseName } from '../domain/vm-transitions.js';
import { nameOf } from './operation.js';
import type { OperationsParts } from './operation.js';
import { prepareXml } from './prepare-xml.js';
import type { VmFacts } from './registry.js';
import { defineInPlaceOfStale, removeStale } from './stale-domains.js';
import type { PreparedStep, StartStep } from './start-step.js';

/** A start under way. */
export interface Start {
  /** As it was sent. */
  readonly domain: DomainDescription;
  readonly step: StartStep;
  /** Aborted by VM.destroy. */
  readonly cancelled: AbortSignal;
  /** The run has been asked for: there may be a QEMU. */
  running: boolean;
}

/** What the record becomes; `isSure` false: something of it could not be read. */
export interface StartOutcome {
  readonly causes: readonly CauseName[];
  readonly facts: VmFacts;
  readonly isSure: boolean;
}

/** Memory of a large VM may be allocated, or read, for minutes before QEMU answers. */
const RUN_DEADLINE_MS = 600_000;
/** A daemon that is restarted is back by then; a start that waits for it keeps its place. */
const CONNECT_MS = 60_000;
const READ_ATTEMPTS = 3;

/** @throws Error with a sentence, HypervisorError; check `start.running` for what that is worth */
export async function runStart(parts: OperationsParts, start: Start): Promise<StartOutcome> {
  const { hypervisor, clock, metadata } = parts;
  const { domain } = start;
  start.cancelled.throwIfAborted();
  await connected(parts, start);
  await removeStale(parts, domain);
  const startTimeSec = clock.wallMs() / 1000;
  const step = await prepare(parts, start, startTimeSec);
  start.cancelled.throwIfAborted();
  // A record of an earlier VM of this id that is still being written must not land in the new definition.
  await metadata.settled(domain.id);
  await defineInPlaceOfStale(parts, domain, step.xml);
  start.cancelled.throwIfAborted();
  start.running = true;
  await run(parts, domain, step);
  // Reads that fail change nothing about the VM's running.
  const live = await hypervisor.describe(domain.id).catch(() => undefined);
  const state = await readState(parts, domain.id);
  if (start.cancelled.aborted) {
    await kill(parts, domain.id);
    start.cancelled.throwIfAborted();
  }
  const balloonTargetKiB = live?.metadata?.balloonTargetKiB;
  return {
    causes: [...step.causes, ...(state ? causesOfFound(state) : [])],
    facts: {
      startedAtMs: startTimeSec * 1000,
      ...(balloonTargetKiB !== undefined && { balloonTargetKiB }),
      ...step.facts,
      ...(live && { domain: live }),
    },
    isSure: state !== undefined && live !== undefined,
  };
}

/** Ends a QEMU that a cancelled start may have. */
export async function kill({ hypervisor }: OperationsParts, id: VmId): Promise<void> {
  await hypervisor.destroy(id, { graceful: false }).catch(() => undefined);
}

/** Starts that wait in line outlast a restart of the daemon. */
async function connected(
  { hypervisor, clock }: OperationsParts,
  { domain, cancelled }: Start,
): Promise<void> {
  if (hypervisor.status.state === 'open') return;
  const undo: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => {
        const { reason = hypervisor.status.state } = hypervisor.status;
        const sentence = `${nameOf(domain)} was not started: libvirt is not connected (${reason})`;
        reject(new HypervisorError('unavailable', sentence));
      };
      const onAbort = (): void => reject(cancelled.reason as Error);
      cancelled.addEventListener('abort', onAbort, { once: true });
      undo.push(hypervisor.addListener({ connected: () => resolve() }), clock.after(CONNECT_MS, giveUp), () =>
        cancelled.removeEventListener('abort', onAbort),
      );
    });
  } finally {
    for (const each of undo) each();
  }
}

async function prepare(parts: OperationsParts, start: Start, startTimeSec: number): Promise<PreparedStep> {
  const { hypervisor, host } = parts;
  const { id, xml } = start.domain;
  const prepared = prepareXml(xml, {
    id,
    startTimeSec,
    identity: await host.identity(),
    imagePath: (target) => host.imagePath(id, target),
  });
  await host.makeFolders(prepared.folders);
  for (const payload of prepared.payloads) await host.buildImage(payload);
  return start.step.prepare(hypervisor.parseXml(prepared.xml));
}

/** An error is believed only if no QEMU runs: an engine starts elsewhere what is said to have failed. */
async function run(
  { hypervisor, log }: OperationsParts,
  { id }: DomainDescription,
  step: PreparedStep,
): Promise<void> {
  try {
    await step.run({ deadlineMs: RUN_DEADLINE_MS });
  } catch (error) {
    const state = await hypervisor.domainState(id).catch(() => undefined);
    if (!state || !isActive(state) || isStarting(state)) throw error;
    log.warn({ vmId: id, err: error }, 'A start failed, but the VM runs');
  }
}

/** The state, read until no event came meanwhile; undefined where it cannot be had. */
async function readState(
  { registry, hypervisor }: OperationsParts,
  id: VmId,
): Promise<DomainState | undefined> {
  for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
    const watch = registry.watch();
    try {
      const state = await hypervisor.domainState(id);
      if (!watch.touched(id)) return state;
    } catch {
      return undefined;
    } finally {
      watch.end();
    }
  }
  return undefined;
}
