/**
 * The two ways to bring a domain to life: a launch, and a restore of saved memory (restore.ts). create.ts and
 * start-sequence.ts have the rest of a start, which is the same for both.
 */
import type { DomainDescription } from '../domain/devices.js';
import type { CallOptions, Hypervisor } from '../domain/hypervisor.js';
import type { CauseName } from '../domain/vm-transitions.js';
import type { VmFacts } from './registry.js';
import { prepareRestore } from './restore.js';
import type { RestoreParts, SavedPlace } from './restore.js';

export interface PreparedStep {
  /** To be defined before run(). */
  readonly xml: string;
  /** Of the record, from when the VM runs. */
  readonly facts: VmFacts;
  /** Of success; what the domain's state then says is applied after them. */
  readonly causes: readonly CauseName[];
  /** Has QEMU run the domain. @throws HypervisorError */
  readonly run: (options: CallOptions) => Promise<void>;
}

export interface StartStep {
  /** The record's first status, which VM.create answers. */
  readonly internal: 'WaitForLaunch' | 'Restoring state';
  /** Of a failure; its text becomes the exit record's. */
  readonly failed: CauseName;
  /**
   * @param request the XML that was sent, made ready for this host
   * @throws what ends the start: Error with a sentence, HypervisorError
   */
  readonly prepare: (request: DomainDescription) => Promise<PreparedStep>;
}

/** Boots it, or leaves it before its first instruction where the metadata say `launchPaused`. */
export function launchStep(hypervisor: Pick<Hypervisor, 'launch'>): StartStep {
  return {
    internal: 'WaitForLaunch',
    failed: 'launch-failed',
    prepare: ({ id, xml, metadata }) => {
      const paused = metadata?.launchPaused ?? false;
      return Promise.resolve({
        xml,
        facts: {},
        causes: [paused ? 'launched-paused' : 'launched'],
        run: (options) => hypervisor.launch(id, { paused }, options),
      });
    },
  };
}

export function restoreStep(parts: RestoreParts, place: SavedPlace): StartStep {
  return {
    internal: 'Restoring state',
    failed: 'restore-failed',
    prepare: async (request) => {
      const { xml, facts, launch } = await prepareRestore(parts, place, request);
      return { xml, facts, causes: ['restored'], run: launch };
    },
  };
}
